-- Attempts by means of coroutines.
--
-- Tests scripts/kadenza/sandbox.lua, bindings/policy.

local attempt = require("tests.spec.escapes.attempt")

local LONG <const> = "ran too long"
local DEADLINE <const> = "did not answer before its deadline"

local ROWS <const> = {
  { "a loop", [[
    coroutine.resume(coroutine.create(function() while true do end end)) ]],
    fails = LONG },
  { "a loop, by wrap", "coroutine.wrap(function() while true do end end)()",
    fails = LONG },
  { "loops that are resumed in a loop", [[
    while true do
      coroutine.resume(coroutine.create(function() while true do end end))
    end ]], fails = LONG },
  { "a loop inside of pcall", [[
    while true do
      pcall(coroutine.wrap(function()
        while true do pcall(error) end
      end))
    end ]], fails = LONG },
  { "loops within loops", [[
    local function nest(depth)
      if depth == 0 then
        while true do end
      end
      return coroutine.resume(coroutine.create(nest), depth - 1)
    end
    while true do nest(20) end ]], fails = LONG },
  { "an endless iterator", [[
    for _ in coroutine.wrap(function()
      while true do coroutine.yield(1) end
    end) do end ]], fails = LONG },
  { "yields back and forth", [[
    local one = coroutine.wrap(function()
      while true do coroutine.yield() end
    end)
    while true do one() end ]], fails = LONG },
  { "recursion through coroutines", [[
    local function deeper() return coroutine.wrap(deeper)() end
    deeper() ]], fails = "C stack overflow" },
  { "recursion through coroutines, caught", [[
    local function deeper()
      return select(2, coroutine.resume(coroutine.create(deeper)))
    end
    return { value = type(deeper()) } ]], gives = "string" },
  { "recursion in every coroutine", [[
    local function deep() return deep() + 1 end
    while true do coroutine.resume(coroutine.create(deep)) end ]],
    fails = LONG },
  { "a coroutine that resumes itself", [[
    local own
    own = coroutine.create(function()
      return coroutine.resume(own)
    end)
    local _, fine, message = coroutine.resume(own)
    return { value = tostring(fine) .. message } ]],
    gives = "falsecannot resume non-suspended coroutine" },
  { "a coroutine that resumes its hook", [[
    return { value = tostring(coroutine.running()) } ]], gives = "nil" },
  { "a coroutine that resumes the one that resumes it", [[
    local outer
    outer = coroutine.create(function()
      return coroutine.wrap(function() return coroutine.resume(outer) end)()
    end)
    return { value = select(3, coroutine.resume(outer)) } ]],
    gives = "cannot resume non-suspended coroutine" },
  { "a coroutine that closes the one that resumes it", [[
    local outer
    outer = coroutine.create(function()
      return coroutine.wrap(function()
        return tostring(pcall(coroutine.close, outer))
      end)()
    end)
    return { value = select(2, coroutine.resume(outer)) } ]],
    gives = "false" },
  { "a hook that closes itself",
    "coroutine.close(coroutine.running())", fails = "coroutine expected" },
  { "a coroutine that is closed while it waits", [[
    local shared = coroutine.create(function() kad.sleep(1) return "slept" end)
    kad.spawn(function()
      kad.sleep(0.5)
      coroutine.close(shared)
    end)
    return { value = select(2, coroutine.resume(shared)) } ]],
    gives = "cannot resume dead coroutine" },
  { "a coroutine that two tasks resume while it waits", [[
    local shared = coroutine.create(function() kad.sleep(1) return "slept" end)
    local fine
    kad.spawn(function()
      kad.sleep(0.5)
      fine = coroutine.resume(shared, "too early")
    end)
    local _, value = coroutine.resume(shared)
    return { value = value .. tostring(fine) } ]], gives = "sleptfalse" },
  { "a coroutine whose hook has ended while it waited", place = "file", [[
    local kad = require("kadenza")
    local kept
    return { name = "attack", deadline = 0.5, rpc = { attack = function()
      if kept then return { value = select(2, coroutine.resume(kept)) } end
      kept = coroutine.create(function() kad.sleep(1e8) end)
      coroutine.resume(kept)
    end } } ]], times = 2, gives = "cannot resume dead coroutine" },
  { "yields of a hook itself", "while true do coroutine.yield() end",
    fails = "from outside a coroutine" },
  { "yields of a hook with what is none of its", [[
    coroutine.yield({}, {}, error)
    return { value = "back" } ]], fails = "from outside a coroutine" },
  { "yields in a comparator", [[
    coroutine.wrap(function()
      table.sort({ 3, 2, 1 }, function() coroutine.yield() end)
    end)() ]], fails = "yield across a C-call boundary" },
  { "yields in a callback of gsub", [[
    local replace = coroutine.wrap(function()
      return (("x"):gsub(".", function() return coroutine.yield() end))
    end)
    replace()
    return { value = replace("y") } ]], gives = "y" },
  { "a wait without an end in a coroutine",
    "coroutine.wrap(function() kad.sleep(1e8) end)()", fails = DEADLINE },
  { "waits in coroutines within coroutines", [[
    local function nest(depth)
      if depth == 0 then
        kad.sleep(0.1)
        return "slept"
      end
      return coroutine.wrap(nest)(depth - 1)
    end
    return { value = nest(20) } ]], gives = "slept" },
  { "__close that loops, of a coroutine that is closed", [[
    local closing = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function()
        while true do end
      end })
      coroutine.yield()
    end)
    coroutine.resume(closing)
    coroutine.close(closing) ]], fails = LONG },
  { "__close that yields, of a coroutine that is closed", [[
    local closing = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function()
        while true do coroutine.yield() end
      end })
      coroutine.yield()
    end)
    coroutine.resume(closing)
    return { value = tostring((coroutine.close(closing))) } ]],
    gives = "false" },
  { "coroutines that close one another, in a chain", [[
    local last, message
    local function close(before)
      local fine, problem = pcall(coroutine.close, before)
      message = message or not fine and problem
      return ""
    end
    for _ = 1, 3000 do
      local before = last
      last = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function()
          string.gsub("x", ".", function()
            return (string.gsub("x", ".", function() return close(before) end))
          end)
        end })
        coroutine.yield()
      end)
      coroutine.resume(last)
    end
    coroutine.close(last)
    return { value = message } ]], instructions = 2e7,
    gives = "too many coroutines are being closed within one another" },
  { "__close that resumes another", [[
    local other = coroutine.wrap(function() while true do end end)
    local _ <close> = setmetatable({}, { __close = function() other() end })
    error("x") ]], fails = "x" },
  { "a killed coroutine, resumed by the next call", place = "file", [[
    local kept
    return { name = "attack", rpc = { attack = function()
      kept = kept or coroutine.create(function() while true do end end)
      local fine, message = coroutine.resume(kept)
      return { value = tostring(fine) }
    end } } ]], times = 3, counted = true },
  { "a coroutine kept from a call, with its request", place = "file", [[
    local kept
    return { name = "attack", rpc = { attack = function(request)
      kept = kept or coroutine.wrap(function()
        while true do coroutine.yield(tostring(request.args.id)) end
      end)
      return { value = kept() }
    end } } ]], times = 2, fails = "was used after its hook had ended" },
  { "coroutines without number", [[
    local kept = {}
    while true do
      kept[#kept + 1] = coroutine.create(function() end)
    end ]], instructions = 2e7, fails = "memory" },
  { "coroutines that are all begun", [[
    local kept = {}
    while true do
      local thread = coroutine.create(coroutine.yield)
      coroutine.resume(thread)
      kept[#kept + 1] = thread
    end ]], instructions = 2e7, fails = "memory" },
  { "stacks without number", [[
    local function deep(n) return n == 0 and coroutine.yield() or deep(n - 1) + 1
    end
    local kept = {}
    while true do
      local thread = coroutine.create(deep)
      coroutine.resume(thread, 1000)
      kept[#kept + 1] = thread
    end ]], instructions = 2e7, fails = "memory" },
  { "memory taken in a coroutine, and the error caught", [[
    while true do
      coroutine.resume(coroutine.create(function()
        local s = "x"
        while true do s = s .. s end
      end))
    end ]], instructions = 2e7, fails = "memory" },
  { "as many results as there may be", [[
    local list = {}
    for i = 1, 20000 do list[i] = i end
    local give = coroutine.wrap(function(...)
      while true do coroutine.yield(table.unpack(list)) end
    end)
    return { value = select("#", give(table.unpack(list))) } ]],
    instructions = 2e7, gives = 20000 },
  { "what is no coroutine", [[
    local out = {}
    for _, value in ipairs({ 1, "x", {}, error, ctx, ctx.node }) do
      for _, name in ipairs({ "resume", "close", "status", "wrap", "create",
        "isyieldable" })
      do
        out[#out + 1] = pcall(coroutine[name], value) and 1 or nil
      end
    end
    return { value = #out < 20 and "refused" or #out } ]], gives = "refused" },
  { "the library's functions", "coroutine.yield = error",
    fails = "'coroutine.yield' cannot be set" },
}

describe("an escape by coroutines:", function()
  for _, row in ipairs(ROWS) do
    it(row[1], attempt.spec(row))
  end
end)

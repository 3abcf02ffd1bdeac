local kad = require("kadenza")
local own = require("kadenza.coroutine")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")
local task = require("kadenza.task")

local spec, timed = support.spec, support.timed

local PLACES <const> = { "file", "table", "program" }

-- Returns the body of a hook, or of a program, that gives a list of texts.
local function in_file(body)
  return string.format([[
    local kad = require("kadenza")
    local function give(node) %s end
    return { name = "policy", deadline = 60,
      types = { note = { republish = false } },
      rpc = { run = function(_, ctx)
        return { given = give(ctx.node) }
      end } }
  ]], body)
end

local function call_run(world)
  local reply = assert(policies.call(world))
  return reply.given
end

local function run_program(body)
  return kad.run(function()
    local function open()
      return assert(kad.node(support.local_node({
        policies = { policies.plain_policy() },
      })))
    end
    local node, other = open(), open()
    assert(node:bootstrap(other:addresses()))
    return assert(load("local kad, node = ... " .. body))(kad, node)
  end)
end

-- Runs `body` in a policy file, in a policy table and in a program, or in some
-- of these places.
local function it_gives(what, body, expected, places)
  local text = in_file(body)
  local runs = {
    file = policies.with(text, function(world)
      assert.same(expected, call_run(world))
    end),
    table = function()
      policies.with(assert(load(text))(), function(world)
        assert.same(expected, call_run(world))
      end)()
    end,
    program = spec(function()
      assert.same(expected, run_program(body))
    end),
  }
  for _, place in ipairs(places or PLACES) do
    it(what .. ", in a " .. place, runs[place])
  end
end

local BOUNDARY <const> = "a task cannot wait inside of %s: Lua cannot suspend "
  .. "it; wait before or after that call"

-- A program in a process of its own: it may take functions of the library
-- before kadenza is loaded.
local function run_alone(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
  local lua = arg and arg[-1] or "lua5.4"
  lua = os.getenv("LUA") or lua
  local output <close> = assert(io.popen(lua .. " " .. path .. " 2>&1"))
  local got = output:read("a")
  os.remove(path)
  return got
end

describe("a coroutine of a task", function()
  it_gives("may wait for a record in a generator", [[
    assert(node:put(kad.key("a"), "1", { type = "note" }))
    assert(node:put(kad.key("b"), "2", { type = "note" }))
    local values = {}
    for value in coroutine.wrap(function()
      for _, name in ipairs({ "a", "b" }) do
        coroutine.yield(node:get(kad.key(name), { type = "note" }))
      end
    end) do
      values[#values + 1] = value
    end
    return values
  ]], { "1", "2" })

  it_gives("may wait three deep, in pcall, between its own yields", [[
    local function inner()
      coroutine.yield("first")
      local fine = pcall(function()
        kad.sleep(0.01)
        coroutine.yield("second")
        kad.sleep(0.01)
        error("caught")
      end)
      coroutine.yield(tostring(fine))
    end
    local function relay(fn)
      return coroutine.wrap(function()
        for value in coroutine.wrap(fn) do
          kad.sleep(0.01)
          coroutine.yield(value)
        end
      end)
    end
    local values = {}
    for value in relay(function()
      for value in relay(inner) do coroutine.yield(value) end
    end) do
      values[#values + 1] = value
    end
    return values
  ]], { "first", "second", "false" })

  it_gives("gets and gives values around a wait", [[
    local co = coroutine.create(function(...)
      kad.sleep(0.01)
      local more = table.pack(coroutine.yield(select("#", ...), ...))
      kad.sleep(0.01)
      return more.n
    end)
    local first = table.pack(coroutine.resume(co, nil, 2, nil))
    local second = table.pack(coroutine.resume(co, nil, nil))
    return { first.n, first[2], first[4], second.n, second[2],
      coroutine.status(co) }
  ]], { 5, 3, 2, 2, 2, "dead" })

  it_gives("may be used by several tasks", [[
    local next_value = coroutine.wrap(function()
      for i = 1, 4 do
        kad.sleep(0.01)
        coroutine.yield(i)
      end
    end)
    local values = { next_value() }
    values[2] = kad.spawn(function() return (next_value()) end):await()
    values[3] = kad.spawn(function() return (next_value()) end):await()
    values[4] = next_value()
    return values
  ]], { 1, 2, 3, 4 })

  it_gives("is not resumed while it waits for another task", [[
    local co = coroutine.create(function() kad.sleep(0.05) return "mine" end)
    local other = kad.spawn(function()
      kad.sleep(0.01)
      return select(2, coroutine.resume(co)) .. ", " .. coroutine.status(co)
    end)
    local _, value = coroutine.resume(co)
    return { value, other:await() }
  ]], { "mine", "cannot resume a coroutine that waits, suspended" })

  it_gives("gives its error after a wait", [[
    local co = coroutine.create(function() kad.sleep(0.01) error("no", 0) end)
    local fine, message = coroutine.resume(co)
    local raised, text = pcall(coroutine.wrap(function()
      kad.sleep(0.01)
      error({ "no" })
    end))
    return { tostring(fine), message, coroutine.status(co), tostring(raised),
      text[1] }
  ]], { "false", "no", "dead", "false", "no" })

  it_gives("closes its variables when its task is canceled or times out", [[
    local closed = {}
    local function note(name)
      return setmetatable({}, { __close = function()
        closed[#closed + 1] = name
      end })
    end
    local function wait_inside()
      local _ <close> = note("task")
      for _ in coroutine.wrap(function()
        local _ <close> = note("outer")
        coroutine.wrap(function()
          local _ <close> = note("inner")
          kad.sleep(100)
        end)()
      end) do end
    end
    local work = kad.spawn(wait_inside)
    kad.sleep(0.01)
    work:cancel()
    closed[#closed + 1] = work:status()
    kad.timeout(0.01, wait_inside)
    return closed
  ]], { "inner", "outer", "task", "canceled", "inner", "outer", "task" })

  it_gives("ends the task that it cancels", [[
    local reached = "no"
    local work
    work = kad.spawn(function()
      kad.sleep(0)
      coroutine.wrap(function() work:cancel() reached = "yes" end)()
      reached = "yes"
    end)
    pcall(work.await, work)
    return { work:status(), reached }
  ]], { "canceled", "no" })

  -- Lua 5.4 adds the name of the library.
  for name, body in pairs({
    ["'table.sort'"] = "table.sort({ 2, 1 }, wait)",
    ["'string.gsub'"] = "(('x'):gsub('.', wait))",
    ["'tostring'"] = "tostring(setmetatable({}, { __tostring = wait }))",
  }) do
    local short = name:gsub("%a+%.", "")
    it_gives("says that it cannot wait in " .. name, string.format([[
      local wait = coroutine.wrap(function() kad.sleep(1) end)
      local _, plain = pcall(function()
        local wait = function() kad.sleep(1) end
        return %s
      end)
      local _, message = pcall(function() return %s end)
      local function reason(text)
        return (text:match("a task cannot.*"):gsub("'%%a+%%.", "'", 1))
      end
      return { reason(plain), reason(message) }
    ]], body, body), { BOUNDARY:format(short), BOUNDARY:format(short) },
      name == "'string.gsub'" and { "table", "program" } or PLACES)
  end

  it_gives("says that its __close cannot wait", [[
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function()
        kad.sleep(1)
      end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    local _, message = coroutine.close(co)
    return { message:find("a __close of a coroutine that is closed", 1, true)
      and "said" or message }
  ]], { "said" })

  it("names require and finalizers, in which it cannot wait",
    timed(function()
      package.preload["tests.waiting"] = function()
        task.sleep(1)
      end
      local _, in_require = pcall(require, "tests.waiting")
      package.preload["tests.waiting"] = nil
      local in_finalizer
      setmetatable({}, { __gc = function()
        in_finalizer = select(2, pcall(task.sleep, 1))
      end })
      collectgarbage()

      assert.matches(BOUNDARY:format("'require'"), in_require, 1, true)
      assert.matches(BOUNDARY:format("a finalizer (__gc)"), in_finalizer, 1,
        true)
    end))

  it("starts nothing where it cannot wait", timed(function()
    local started = false
    pcall(table.sort, { 2, 1 }, function()
      task.wait(function()
        started = true
      end)
    end)

    assert.is_false(started)
  end))

  it("says so when other code resumes it while it waits", timed(function()
    local co = coroutine.create(function()
      task.sleep(10)
    end)
    task.spawn(task.network(), function()
      coroutine.resume(co)
    end)
    task.sleep(1)

    local _, message = own.resume(co)

    assert.matches("was resumed by other code than its task's", message)
  end))

  it("is preempted with the hook of a table, and continues", function()
    policies.with({
      name = "policy",
      rpc = { run = function()
        local sum = 0
        for i in coroutine.wrap(function()
          for i = 1, 40000 do
            coroutine.yield(i)
          end
          for _ = 1, 3000000 do end
        end) do
          sum = sum + i
        end
        return { sum = sum }
      end },
    }, function(world)
      assert.equal(800020000, assert(policies.call(world)).sum)
      local hook = world.hooks()["policy: rpc.run"]
      assert.equal(1, hook.preempted)
      assert.equal(0, hook.errors)
    end)()
  end)

  it("is stopped with the hook of a table, wherever it was made", function()
    local endless = coroutine.create(function()
      while true do end
    end)
    policies.with({
      name = "policy",
      rpc = { run = function()
        coroutine.resume(endless)
        return {}
      end },
    }, function(world)
      local reply, _, _, info = policies.call(world)
      assert.is_nil(reply)
      assert.equal(202, info.krpc)
      assert.equal(1, world.hooks()["policy: rpc.run"].overruns)
    end)()
  end)
end)

describe("the coroutine library of a program", function()
  it("is Lua's own but for resume and wrap", spec(function()
    for name, fn in pairs(own) do
      if type(fn) == "function" and name ~= "explain" then
        assert.equal(name ~= "resume" and name ~= "wrap",
          fn == coroutine[name], name)
      end
    end
  end))

  -- Compares what both libraries give.
  local function assert_same(fn)
    assert.same(table.pack(pcall(fn, own)), table.pack(pcall(fn, coroutine)))
  end

  it("gives the results and errors of Lua's", spec(function()
    assert_same(function(library)
      local co = library.create(function(a)
        local b = library.yield(a, nil)
        error({ a + b })
      end)
      local first = table.pack(library.resume(co, 1))
      local second = table.pack(library.resume(co, 2))
      local third = table.pack(library.resume(co))
      return { first, second, third, library.status(co) }
    end)
    assert_same(function(library)
      return library.wrap(function()
        error("with a place")
      end)()
    end)
    assert_same(function(library)
      return library.wrap(function()
        local _ <close> = setmetatable({}, { __close = function()
          error("of the __close", 0)
        end })
        error("first", 0)
      end)()
    end)
    assert_same(function(library)
      local fn = library.wrap(function() end)
      fn()
      return fn()
    end)
    assert_same(function(library)
      local co
      co = library.create(function()
        return library.resume(co)
      end)
      return library.resume(co)
    end)
    assert_same(function(library)
      return library.resume(library.create(function(...)
        return select("#", ...)
      end), table.unpack({}, 1, 200))
    end)
    assert_same(function(library)
      local function deep(n)
        return n == 0 and "end" or library.wrap(deep)(n - 1)
      end
      return deep(100)
    end)
    assert_same(function(library)
      return library.wrap(1)
    end)
  end))

  it("stays Lua's for kadenza that is loaded again", spec(function()
    local loaded = {}
    for name, module in pairs(package.loaded) do
      if name:match("^kadenza") then
        loaded[name] = module
        package.loaded[name] = nil
      end
    end
    local again = require("kadenza")
    local value = again.run(function()
      again.sleep(0.001)
      return coroutine.wrap(function()
        again.sleep(0.001)
        return "waited"
      end)()
    end)
    for name, module in pairs(loaded) do
      package.loaded[name] = module
    end

    assert.equal("waited", value)
  end))

  it("says why a coroutine cannot wait outside of tasks", spec(function()
    local _, message = coroutine.resume(coroutine.create(function()
      task.sleep(1)
    end))

    assert.matches("only a task can wait: this coroutine was resumed outside "
      .. "of kad.run and kad.spawn", message, 1, true)
  end))

  it("says so of functions that were taken before kadenza", function()
    local output = run_alone([[
      local wrap = coroutine.wrap
      local kad = require("kadenza")
      print(pcall(kad.run, function()
        for value in wrap(function() kad.sleep(0.01) end) do print(value) end
      end))
    ]])

    assert.matches("or with a function that was taken from 'coroutine' before "
      .. "kadenza was loaded", output, 1, true)
  end)
end)

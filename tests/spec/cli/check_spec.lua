local json = require("dkjson")
local process = require("support.process")
local support = require("support")

-- Wraps the body of a spec: calls fn(write). write(name, text) makes a policy
-- in a temporary folder and returns its path.
local function with_folder(fn)
  return function()
    local folder, remove = support.temporary_folder()
    local _ <close> = setmetatable({}, { __close = remove })
    fn(function(name, text)
      local path = folder .. "/" .. name
      local file <close> = assert(io.open(path, "wb"))
      file:write(text)
      return path
    end)
  end
end

local QUICK <const> = { "--nodes", "8", "--seconds", "4000" }

-- A trial takes long with sanitizers.
local SECONDS <const> = 60

local function check(...)
  local args = { "check", ... }
  local trial = process.start(table.move(QUICK, 1, #QUICK, #args + 1, args))
  trial:wait(SECONDS)
  return trial
end

local function check_json(...)
  local done = check("--json", ...)
  return json.decode(done.stdout), done
end

local function hook_named(document, name)
  for _, hook in ipairs(document.hooks) do
    if hook.name == name then
      return hook
    end
  end
  error("no hook " .. name)
end

local GOOD <const> = [[
return {
  name = "good",
  types = { note = {
    ttl = 3600, republish = 600,
    validate = function(record)
      return record.value ~= "bad" or nil, "that is bad"
    end,
    merge = function(held, record)
      return { record, held[1] }
    end,
    expire = function() return 500 end,
    select = function(records) return records[1] end,
  }, signed = { signed_only = true, validate = function(record)
      return record.publisher ~= nil and record.seq == 4 or nil, "who?"
    end } },
  rpc = { hi = function(request)
    return request.args.name and { text = request.args.name } or nil, "who?"
  end },
  http = { ["PUT /note/:name"] = function(request)
    return request.params.name ~= "x" and { body = request.body } or nil, "who?"
  end, ["GET /all"] = function() return { json = {} } end },
  on_request = function() return true end,
  on_contact = function() return true end,
  on_store = function() end,
  on_expire = function() end,
  samples = {
    types = { note = { "fine", "bad" }, signed = { { value = "x", seq = 4 } } },
    rpc = { hi = { { name = "Ann" }, {} } },
    http = { ["PUT /note/:name"] = { { params = { name = "a" }, body = "b" },
      {} } },
  },
}]]

describe("kadenza check", function()
  after_each(process.end_all)

  it("calls every hook and prints its cost", with_folder(function(write)
    local document, done = check_json(write("good.lua", GOOD))

    assert.equal("", done.stderr)
    assert.equal(0, done.status)
    assert.is_true(document.passed)
    for _, name in ipairs({ "note.validate", "note.merge", "note.expire",
      "note.select", "signed.validate", "rpc.hi", "on_request", "on_contact",
      "on_store", "on_expire", "http.PUT /note/:name", "http.GET /all" })
    do
      local hook = hook_named(document, "good: " .. name)
      assert.is_true(hook.calls > 0, name)
      assert.is_true(hook.seconds > 0 and hook.slowest > 0, name)
      assert.is_true(#hook.time > 1)
      assert.equal(0, hook.errors)
    end
    assert.same({}, document.unreached)
    assert.same({}, document.problems)
    assert.is_true(document.memory > 100000)
    assert.equal(8, document.nodes)
  end))

  it("counts accepted and rejected samples", with_folder(function(write)
    local document = check_json(write("good.lua", GOOD))

    assert.same({
      { name = "types.immutable", tried = 12, accepted = 12, rejections = {} },
      { name = "types.mutable", tried = 12, accepted = 12, rejections = {} },
      { name = "types.note", tried = 2, accepted = 1,
        rejections = { { count = 1, reason = "refused: 201 that is bad" } } },
      { name = "types.signed", tried = 1, accepted = 1, rejections = {} },
      { name = "types.value", tried = 12, accepted = 12, rejections = {} },
      { name = "rpc.hi", tried = 6, accepted = 3,
        rejections = { { count = 3, reason = "201 who?" } } },
      { name = "http.GET /all", tried = 3, accepted = 3, rejections = {} },
      { name = "http.PUT /note/:name", tried = 6, accepted = 3,
        rejections = { { count = 3, reason = "who?" } } },
    }, document.samples)
  end))

  it("tries items of BEP 44", with_folder(function(write)
    local document = check_json(write("items.lua", [[
return { name = "items", types = {
  immutable = { validate = function(record)
    return record.value ~= "1:1" or nil, "no ones"
  end, expire = function() return 600 end },
  mutable = { validate = function(record)
    return record.publisher ~= nil and record.value:find("^d") ~= nil
      or nil, "no dictionary"
  end, select = function(records) return records[1] end },
}, on_expire = function() end, samples = { types = {
  mutable = { { value = "d1:ai1ee", salt = "s" }, "de", "i1e", "no bencode" },
} } }]]))
    for name, least in pairs({ ["immutable.validate"] = 20,
      ["immutable.expire"] = 20, ["mutable.validate"] = 20,
      ["mutable.select"] = 2, on_expire = 1 }) do
      assert.is_true(hook_named(document, "items: " .. name).calls >= least,
        name)
    end
    local samples = {}
    for _, sample in ipairs(document.samples) do
      samples[sample.name] = sample
    end
    assert.same({ 12, 10 }, { samples["types.immutable"].tried,
      samples["types.immutable"].accepted })
    assert.same({ 4, 2 }, { samples["types.mutable"].tried,
      samples["types.mutable"].accepted })
    assert.is_true(document.passed)
  end))

  it("estimates the instructions of a hook", with_folder(function(write)
    local function loop(times)
      return ("for _ = 1, %d do end return true"):format(times)
    end
    local document = check_json(write("loops.lua", ([[
return { name = "loops", types = {
  short = { validate = function() %s end },
  long = { validate = function() %s end } },
  rpc = { longest = function() for _ = 1, 1000000 do end return {} end } }]])
      :format(loop(300), loop(3000))))
    local function mean(name)
      local hook = hook_named(document, "loops: " .. name .. ".validate")
      return hook.instructions / hook.calls
    end
    assert.is_true(math.abs(mean("short") - 300) < 90, mean("short"))
    assert.is_true(math.abs(mean("long") - 3000) < 300, mean("long"))
    local longest = hook_named(document, "loops: rpc.longest")
    assert.is_true(longest.instructions > longest.calls * 0.99e6)
    assert.is_true(longest.instructions < longest.calls * 1.01e6)
    assert.is_true(longest.preempted > 0)
  end))

  it("names the place of a hook that returns a wrong type", with_folder(
    function(write)
      local path = write("odd.lua", [[
return { types = { odd = {
  validate = function() return 42 end } } }]])
      local document = check_json(path, "--nodes", "5")
      assert.is_truthy(document.failures[1].error:find(
        path .. ":2: returned number where true", 1, true))
    end))

  it("warns of hooks whose circuit breaker is open", with_folder(function(write)
    local document = check_json(write("deaf.lua", [[
return { name = "deaf", on_request = function() error("no") end }]]))
    local hook = hook_named(document, "deaf: on_request")
    assert.is_true(hook.breakers_open > 0)
    assert.matches("^deaf: .* its circuit breaker is open at %d+ of %d+ nodes$",
      document.warnings[1])
  end))

  it("prints a table", with_folder(function(write)
    local done = check(write("good.lua", GOOD))

    assert.equal(0, done.status)
    assert.is_truthy(done.stdout:find(
      "^8 nodes, 4000 s of virtual time, seed 1\nhook +calls +errors"))
    assert.is_truthy(done.stdout:find("\ngood: note.validate +%d+ +0 +0 +0 "))
    assert.is_truthy(done.stdout:find(
      "types.note: 1 of 2 samples accepted\n"
        .. "  1 time: refused: 201 that is bad\n",
      1, true))
    assert.is_truthy(done.stdout:find("\nno errors\n$"))
  end))

  it("repeats its counts with one seed", with_folder(function(write)
    local path = write("good.lua", GOOD)
    local function calls(...)
      local counts = {}
      for i, hook in ipairs(check_json(path, ...).hooks) do
        counts[i] = hook.calls
      end
      return counts
    end
    assert.same(calls("--seed", "5"), calls("--seed", "5"))
  end))

  it("finds misspelt fields and globals", with_folder(function(write)
    local path = write("typos.lua", [[
return { types = { note = { validate = function(record)
  if false then
    print(record.pubisher)
  end
  return true
end } } }]])
    local document, done = check_json(path)

    assert.equal(1, done.status)
    assert.is_false(document.passed)
    assert.same({
      { file = path, line = 3, message = "a record has no field 'pubisher' "
        .. "(did you mean 'publisher'?)" },
      { file = path, line = 3, message = "undefined global 'print'" },
    }, document.problems)
    assert.is_truthy(check(path).stdout:find(path .. ":3: a record has no ", 1,
      true))
  end))

  it("checks the modules beside a policy", with_folder(function(write)
    local words = write("words.lua", [[
require("words") -- itself: refused when it is run
return { count = function(text) return #text + extra end }]])
    local rules = write("rules.lua", [[
local words = require "words"
return function(record) return words.count(record.value) > 0 end]])
    local path = write("main.lua", [[
local kad = require("kadenza")
local crdt = require("kadenza.crdt")
local rules = function(record) return require("rules")(record) end
return { types = { note = { validate = rules } }, name = "main" }]])
    local document, done = check_json(path)
    assert.equal(1, done.status)
    assert.same({ { file = words, line = 2,
      message = "undefined global 'extra'" } }, document.problems)
    assert.is_truthy(rules)
  end))

  it("prints a failure once, with its place and traceback",
    with_folder(function(write)
      local path = write("broken.lua", [[
return { name = "broken", types = { note = {
  validate = function(record)
    return #record.publisher > 0
  end } } }]])
      local document, done = check_json(path)

      assert.equal(1, done.status)
      assert.equal(1, #document.failures)
      local failure = document.failures[1]
      assert.equal("broken: note.validate", failure.hook)
      assert.equal(path .. ":3: attempt to get length of a nil value "
        .. "(field 'publisher')", failure.error)
      assert.is_truthy(failure.traceback:find(path .. ":3: in ", 1, true))
      assert.is_true(hook_named(document, "broken: note.validate").errors > 1)

      local text = check(path).stdout
      assert.is_truthy(text:find("broken: note.validate: " .. path .. ":3: ", 1,
        true))
      assert.is_truthy(text:find("\nerrors were found\n$"))
    end))

  it("tells errors that are tables once, not once a table",
    with_folder(function(write)
      local document = check_json(write("tables.lua", [[
return { name = "tables", types = { note = {
  validate = function() error({}) end } } }]]))

      assert.equal(1, #document.failures)
      assert.equal("an error that is no text: table",
        document.failures[1].error)
    end))

  it("finds failures outside of hooks", with_folder(function(write)
    local path = write("outside.lua", [[
local kad = require("kadenza")
return { name = "outside",
  on_start = function() kad.spawn(function() error("in a task") end) end,
  every = { { seconds = 60, run = function() error("in a timer") end } } }]])
    local document, done = check_json(path)

    assert.equal(1, done.status)
    local found = {}
    for _, failure in ipairs(document.failures) do
      found[failure.hook] = failure.error
    end
    assert.same({
      [path .. ": a task"] = path .. ":3: in a task",
      ["outside: every[1]"] = path .. ":4: in a timer",
    }, found)
  end))

  it("counts samples that cannot be stored as rejected",
    with_folder(function(write)
      local document, done = check_json(write("samples.lua", [[
return { types = { note = {} }, samples = { types = { note = {
  { value = "x", salt = ("s"):rep(70) }, { value = ("v"):rep(1001) },
  { value = "x", signed = true, salt = ("v"):rep(1001) },
  { value = "x", key = "short" }, { value = "x", ttl = -1 } } } } }]]))

      assert.equal(0, done.status, done.stderr)
      local entry = document.samples[1]
      assert.equal(5, entry.tried)
      assert.equal(0, entry.accepted)
      assert.equal(5, #entry.rejections)
    end))

  it("warns of nodes that know no others", with_folder(function(write)
    local document, done = check_json(write("lonely.lua",
      "return { on_contact = function() return false end }"))
    assert.equal(0, done.status)
    assert.same({ "8 of 8 nodes have no contacts: the results mean little" },
      document.warnings)
  end))

  it("escapes control characters", with_folder(function(write)
    local done = check(write("names.lua",
      'return { rpc = { ["a\\27[31m\\n"] = function() error("\\27") end } }'))
    assert.is_nil(done.stdout:find("\27", 1, true))
  end))

  it("counts overruns", with_folder(function(write)
    local document, done = check_json(write("slow.lua", [[
return { name = "slow", on_start = function() end, rpc = {
  spin = function() while true do end end } }]]))

    assert.equal(1, done.status)
    local hook = hook_named(document, "slow: rpc.spin")
    assert.equal(hook.calls, hook.overruns)
    assert.is_truthy(document.failures[1].error:find("ran too long", 1, true))
  end))

  it("does not count a rejection as a failure", with_folder(function(write)
    local document, done = check_json(write("strict.lua", [[
return { name = "strict", types = { note = {
  validate = function() return nil, "never" end,
  merge = function(held) return held end } } }]]))

    assert.equal(0, done.status)
    assert.same({ "strict: note.merge" }, document.unreached)
    assert.equal(0, document.samples[1].accepted)
    assert.equal(12, document.samples[1].tried)
  end))

  it("warns of contradictory limits",
    with_folder(function(write)
      local document, done = check_json(write("limits.lua", [[
return { types = { note = { ttl = 600, republish = 600,
  expire = function() return 1e12 end } } }]]))

      assert.equal(0, done.status)
      assert.equal("types.note: republished every 600 s, but lives 600 s",
        document.warnings[1])
      assert.is_truthy(document.warnings[2]:find("out of range"))
    end))

  it("loads several files as one node does", with_folder(function(write)
    local done = check(write("a.lua", "return { rpc = { hi = print } }"))
    assert.equal(2, done.status)
    assert.is_truthy(done.stderr:find("a.lua:1: undefined global 'print'", 1,
      true))

    local rpc = "return { rpc = { hi = function() return {} end } }"
    local clash = check(write("b.lua", rpc), write("c.lua", rpc))
    assert.equal(2, clash.status)
    assert.equal("", clash.stdout)
    assert.is_truthy(clash.stderr:find(
      "c.lua: query 'hi' is claimed by [^\n]*b.lua already\n$"))
  end))

  it("trusts a file with --trust", with_folder(function(write)
    local path = write("trusted.lua", [[
return { rpc = { clock = function()
  return { year = os.date("%Y") }
end } }]])
    assert.equal(1, check(path).status)
    local document, done = check_json(path, "--trust", path)
    assert.equal(0, done.status)
    assert.is_true(document.samples[1].accepted > 0)
    local wrong = check(path, "--trust", "other.lua")
    assert.equal(2, wrong.status)
    assert.equal("kadenza: --trust: 'other.lua' is not one of the files\n",
      wrong.stderr)
  end))

  it("rejects files that cannot be read, and options out of range",
    with_folder(function(write)
      assert.equal(2, check("/nowhere.lua").status)
      assert.equal(2, check(write("e.lua", "return {")).status)
      assert.equal(2, process.run({ "check" }).status)
      local done = process.run({ "check", "--nodes", "1", "x.lua" })
      assert.equal("kadenza: --nodes must be an integer from 2 to 10000, not "
        .. "1\n", done.stderr)
      assert.equal(2, done.status)
    end))

  for name in io.popen("ls scripts/policies"):lines() do
    it("finds no errors in the policy " .. name, function()
      local document, done = check_json("scripts/policies/" .. name)
      assert.equal(0, done.status, done.stdout)
      assert.same({}, document.unreached)
      for _, entry in ipairs(name == "chat.lua" and document.samples or {}) do
        assert.is_true(entry.accepted > 0 and entry.accepted < entry.tried
          or entry.name == "rpc.chat_read", entry.name)
      end
    end)
  end
end)

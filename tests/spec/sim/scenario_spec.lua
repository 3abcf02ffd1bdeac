local scenario = require("kadenza.sim.scenario")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local run_small = sim_support.run_small
local small = sim_support.small_scenario
local spec = support.spec

local function write(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

describe("kadenza.sim.scenario", function()
  for text, options in pairs({
    ["unknown option 'colour'"] = { colour = 1 },
    ["option 'nodes' must be an integer"] = { nodes = 1.5 },
    ["option 'hours' must be in 0 to"] = { hours = -1 },
    ["option 'network' must be a table or a function"] = { network = 1 },
    ["option 'setup' must be a function"] = { setup = {} },
    ["step 1 must be a table"] = { steps = { 1 } },
    ["step 1 needs a name, a function run, and at or part"] =
      { steps = { { name = "a", run = print } } },
    ["unknown option 'when'"] = { steps = { { when = 1 } } },
    ["option 'part' must be in 0 to 1"] =
      { steps = { { name = "a", part = 2, run = print } } },
    ["unknown option 'get'"] = { workload = { get = 1 } },
    ["option 'gets' must be in 0 to"] = { workload = { gets = -1 } },
  }) do
    it("names the mistake: " .. text, spec(function()
      support.assert_blames_caller(text, function()
        scenario.run(small(options))
      end)
    end))
  end

  for text, network in pairs({
    ["network: unknown option 'los'"] = { los = 0.1 },
    ["network: unknown option 'kk'"] = { config = { kk = 1 } },
    ["network: none.lua: open: No such file or directory"] =
      { policies = { "none.lua" } },
    ["network must return a table, not number"] = function()
      return 5
    end,
  }) do
    it("names the mistake: " .. text, spec(function()
      local fine, message = pcall(run_small, { network = network })
      assert.is_false(fine)
      assert.equal(text, message)
    end))
  end

  it("needs a name and a summary", function()
    assert.error_matches(function()
      scenario.run({ name = "a" })
    end, "needs a name and a summary")
    assert.error_matches(function()
      scenario.run(5)
    end, "must be a table, not number")
  end)

  it("is read from a file; messages name the file", function()
    for _, case in ipairs({
      { "return {", "unexpected symbol near <eof>" },
      { "error('broken')", ":1: broken" },
      { "coroutine.yield()", "attempt to yield" },
      { "error({})", "no text: table" },
      { "return 5", "a scenario must be a table, not number" },
      { "return { name = 'a', summary = 'b', nods = 1 }",
        "unknown option 'nods'" },
    }) do
      local path = write(case[1])
      local loaded, message, code = scenario.load(path)
      os.remove(path)
      assert.is_nil(loaded)
      assert.equal("KAD_EINVAL", code)
      assert.is_truthy(message:find(path, 1, true), message)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
    local none, message, code = scenario.load("/nonexistent.lua")
    assert.is_nil(none)
    assert.matches("/nonexistent.lua", message)
    assert.equal("KAD_ENOTFOUND", code)
  end)
end)

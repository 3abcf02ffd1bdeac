-- Tests scripts/scenarios.
local process = require("support.process")
local scenario = require("kadenza.sim.scenario")
local support = require("tests.spec.support")

local spec = support.spec

describe("the scenarios that ship", function()
  after_each(process.end_all)

  local NAMES <const> = { "steady", "churn", "flash_crowd", "partition",
    "restart", "lossy", "mobile", "nats", "sybil" }

  for _, name in ipairs(NAMES) do
    it("meet their goals (" .. name .. ")", spec(function()
      local loaded = assert(scenario.load("scripts/scenarios/" .. name
        .. ".lua"))
      assert.equal(name, loaded.name)
      local run = scenario.run(loaded)
      assert.is_true(#run.expectations >= 2)
      for _, expectation in ipairs(run.expectations) do
        assert.is_true(expectation.passed, ("%s: %s %s %s"):format(
          expectation.name, expectation.value, expectation.operator,
          expectation.goal))
      end
    end))
  end

  it("give the same run for the same seed in two processes", function()
    local arguments = { "sim", "churn", "--nodes", "40", "--hours", "0.5",
      "--json", "--seed", "7" }
    local function hash(with)
      local done = process.run(with)
      return done.stdout:match('"trace_hash":"(%x+)"')
    end
    local first = hash(arguments)
    assert.equal(16, #first)
    assert.equal(first, hash(arguments))
    arguments[#arguments] = "8"
    assert.not_equal(first, hash(arguments))
  end)
end)

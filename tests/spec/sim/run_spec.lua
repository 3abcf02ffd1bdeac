local kad = require("kadenza")
local scenario = require("kadenza.sim.scenario")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local run_small = sim_support.run_small
local spec = support.spec

describe("kadenza.sim.run", function()
  it("runs setup, tasks, steps and expect in order", spec(function()
    local done = {}
    local function note(name)
      return function(net, run)
        assert.equal(run.net, net)
        done[#done + 1] = ("%s %.0f"):format(name, run:now())
      end
    end
    local run = run_small({
      setup = note("setup"),
      tasks = { note("task") },
      steps = {
        { part = 0.5, name = "half", run = note("half") },
        { at = 100, name = "early", run = note("early") },
      },
      expect = note("expect"),
    })
    assert.same({ "setup 0", "task 0", "early 100", "half 450", "expect 900" },
      done)
    assert.equal("early", run.records.mark[1].text)
    assert.equal(450, run.records.mark[2].time)
    assert.equal(900, run.lasted)
    assert.is_false(run.interrupted)
    assert.is_true(scenario.passed(run))
  end))

  it("cancels its tasks at the end, and closes its network", spec(function()
    local canceled = false
    local run = run_small({ tasks = { function()
      local _ <close> = setmetatable({}, { __close = function()
        canceled = true
      end })
      while true do
        kad.sleep(60)
      end
    end } })
    assert.is_true(canceled)
    assert.is_false(run.net.network:is_open())
  end))

  it("takes nodes, seed and hours from its options", spec(function()
    local given
    local run = run_small({
      network = function(options)
        given = options
        return { loss = 0.01 }
      end,
    }, { nodes = 5, seed = 9, hours = 0.1 })
    assert.equal(5, run.nodes)
    assert.equal(9, run.seed)
    assert.equal(9, run.net.seed)
    assert.equal(360, run.seconds)
    assert.equal(5, given.nodes)
    assert.equal(0.1, given.hours)
  end))

  it("records operations", spec(function()
    local run = run_small({ tasks = { function(_, run)
      local info = assert(run:put(kad.key("a"), "1"))
      assert.equal(8, info.stored)
      assert.equal("1", (run:get(kad.key("a"))))
      assert.equal("1", (run:get()))
      run:get(kad.key("a"), { value = "2" })
      local value, message, code = run:get(kad.key("b"))
      assert.is_nil(value)
      assert.equal("KAD_ENOTFOUND", code)
      assert.equal("string", type(message))
      assert.is_true(#run:lookup() > 0)
      local holding, k, all = run:holders(kad.key("a"))
      assert.equal(8, k)
      assert.is_true(holding >= 7 and all >= holding)
    end } })
    local put, gets = run.records.put[1], run.records.get
    assert.is_true(put.ok and put.took > 0 and put.messages > 0)
    assert.equal(8, put.stored)
    assert.equal(0, put.time)
    assert.equal(4, #gets)
    assert.is_true(gets[1].ok and gets[1].correct and gets[1].holders > 0)
    assert.is_true(gets[1].time > 0 and gets[1].took > 0 and gets[1].hops > 0)
    assert.is_false(gets[3].correct)
    assert.is_false(gets[4].ok)
    assert.is_nil(gets[4].correct)
    assert.equal("KAD_ENOTFOUND", gets[4].code)
    assert.equal(0.75, run:share("get"))
    assert.is_true(run.records.lookup[1].ok)
  end))

  it("runs the operations of its workload", spec(function()
    local run = run_small({ hours = 1, workload = { keys = 5, gets = 10,
      puts = 1, lookups = 5 } })
    -- Poisson distributions, within 4 deviations.
    assert.is_true(math.abs(run:count("get") - 600) < 100)
    assert.is_true(math.abs(run:count("lookup") - 300) < 70)
    assert.is_true(math.abs(run:count("put") - 65) < 33)
    assert.equal(run:count("put"), #run.values)
    assert.equal(1, run:share("get", "correct"))
  end))

  it("does not get values before one is stored", spec(function()
    -- A node that is alone stores a value itself.
    local run = run_small({ nodes = 1, workload = { keys = 3, gets = 10 } })
    assert.equal(1, run:share("put"))
    assert.equal(1, run:share("get"))
    support.logged(function()
      assert.error_matches(function()
        run_small({ workload = { gets = 10 } })
      end, "no value was put that could be looked up")
    end)
  end))

  it("samples the state of the overlay", spec(function()
    local run = run_small({ hours = 0.5, sample = 300,
      workload = { keys = 3, gets = 6 },
      steps = { { at = 700, name = "outage", run = function(net)
        net:kill(5)
      end } } })
    local samples = run.records.sample
    assert.equal(6, #samples)
    for i, sample in ipairs(samples) do
      assert.equal(i * 300, sample.time)
      assert.equal(i < 3 and 15 or 10, sample.alive)
      assert.equal(i == 3 and 5 or 0, sample.crashed)
      assert.equal(1, sample.healthy)
      assert.is_true(sample.queries > 0 and sample.datagrams > sample.queries)
      assert.is_true(sample.queries_max >= sample.queries)
      assert.is_true(sample.bytes > 100 and sample.contacts > 5)
      assert.is_true(sample.held > 0.5 and sample.held <= 1)
      assert.is_true(sample.copies > 4 and sample.success == 1)
    end
  end))

  it("records the costs of policies", spec(function()
    local run = run_small({
      network = { policies = { { name = "note", types = { note = {
        validate = function()
          return true
        end,
      } } } } },
      setup = function(_, run)
        run:put(nil, "a", { type = "note" })
      end,
    })
    local hook = run.records.policy[1]
    assert.equal("note: note.validate", hook.hook)
    assert.is_true(hook.calls >= 8 and hook.seconds > 0)
    assert.equal(0, hook.errors)
  end))

  it("keeps records of other kinds, and makes figures of them", spec(function()
    local run = run_small({ tasks = { function(_, run)
      for i = 1, 4 do
        run:record("draw", { value = i, ok = i > 1 })
        kad.sleep(10)
      end
    end } })
    assert.equal(4, run:count("draw"))
    assert.equal(0.75, run:share("draw"))
    assert.equal(2.5, run:mean("draw", "value"))
    assert.equal(3, run:percentile("draw", "value", 75))
    assert.equal(2, run:count(run:select("draw", 10, 30)))
    assert.equal(3, run:mean(run:select("draw", 20, 25), "value"))
    assert.is_nil(run:mean("none", "value"))
    assert.is_nil(run:share("none"))
  end))

  it("refuses wrong nodes and values", spec(function()
    run_small({ setup = function(net, run)
      local some = { node = net:choose(1) }
      for _, act in ipairs({
        function() run:put(nil, "a", some) end,
        function() run:get(kad.key("a"), some) end,
        function() run:lookup(nil, some) end,
      }) do
        support.assert_blames_caller("option 'node' must be a node, not table",
          act)
      end
      support.assert_blames_caller("value must be a number or nil, not string",
        function()
          run:expect("a", "b", ">=", 1)
        end)
    end })
  end))

  it("refuses records with fields that are not numbers", spec(function()
    run_small({ setup = function(_, run)
      for _, case in ipairs({
        { { took = "5" }, "field 'took' must be a number, not string" },
        { { hops = "x" }, "field 'hops' must be a number" },
        { { time = {} }, "field 'time' must be a number" },
        { { took = 0 / 0 }, "field 'took' must be finite" },
      }) do
        support.assert_blames_caller(case[2], function()
          case[1].ok = true
          run:record("draw", case[1])
        end)
      end
      assert.equal(0, run:count("draw"))
    end })
  end))

  it("counts no more holders than the overlay has nodes", spec(function()
    local run = run_small({ nodes = 5, setup = function(net, run)
      local key = kad.key("a")
      assert(run:put(key, "1"))
      local holding, of, near = run:holders(key)
      assert.same({ 5, 5, 5 }, { holding, of, near })
      net:kill(net.nodes)
      assert.same({ 0, 0, 0 }, { run:holders(key) })
    end })
    assert.equal(0, run.records.sample[1].held)
  end))

  it("fails when an expectation is not met", spec(function()
    local run = run_small({ expect = function(net, run)
      assert.is_true(run:expect("nodes", net:alive(), "==", 15))
      assert.is_false(run:expect("many", net:alive(), ">", 15))
      assert.is_false(run:expect("measured", nil, ">=", 0))
    end })
    assert.is_false(scenario.passed(run))
    assert.same({ name = "many", value = 15, operator = ">", goal = 15,
      passed = false }, run.expectations[2])
  end))

  it("raises the errors of its functions", spec(function()
    assert.error_matches(function()
      run_small({ setup = function()
        error("broken set-up")
      end })
    end, "broken set%-up")
    support.logged(function()
      assert.error_matches(function()
        run_small({ steps = { { at = 1, name = "s", run = function()
          error("broken step")
        end } } })
      end, "broken step")
    end)
  end))

  it("raises INTERRUPTED when it is interrupted while nodes join",
    spec(function()
      local fine, problem = pcall(run_small, {}, { watch = function(_, run)
        assert.is_nil(run)
        error(scenario.INTERRUPTED, 0)
      end })
      assert.is_false(fine)
      assert.equal(scenario.INTERRUPTED, problem)
      assert.equal("the run was interrupted", tostring(problem))
    end))

  it("ends early when it is interrupted",
    spec(function()
      local run = run_small({ hours = 100, expect = function()
        error("a run that was interrupted expects nothing")
      end }, { watch = function(_, run)
        if run and run:now() > 100 then
          error(scenario.INTERRUPTED, 0)
        end
      end })
      assert.is_true(run.interrupted)
      assert.is_true(run.lasted > 100 and run.lasted < 360000)
      assert.is_false(scenario.passed(run))
      assert.equal(15, run.statistics.alive)
    end))
end)

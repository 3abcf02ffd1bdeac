-- Metrics that policies declare and count.
--
-- Tests scripts/kadenza/policy/metrics.lua.

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local policy = require("kadenza.policy")
local spec = require("tests.spec.support").spec
local testing = require("kadenza.testing")

local failures = policies.failures
local with = policies.with

-- Returns a policy whose query `run` has this body. It declares two metrics.
local function counting(body, more)
  return string.format([[
    local kad = require("kadenza")
    return { name = "p", metrics = {
      votes = { type = "counter", help = "Votes that were stored." },
      polls = { type = "gauge", help = "Polls that are open." },
    }, rpc = { run = function(request, ctx) local node = ctx.node
      %s
      return {}
    end }, %s } ]], body, more or "")
end

-- Returns the values of a node's metrics by name.
local function values(node)
  local found = {}
  for _, metric in ipairs(node:policy_metrics()) do
    found[metric.name] = metric.value
  end
  return found
end

describe("metrics of policies", function()
  it("are 0 at first, counted and set", with(counting([[
    node:count("votes") node:count("votes", 2.5) node:gauge("polls", -3)
  ]]), function(world)
    assert.same({
      { policy = "p", name = "polls", type = "gauge", value = 0,
        help = "Polls that are open." },
      { policy = "p", name = "votes", type = "counter", value = 0,
        help = "Votes that were stored." },
    }, world.node:policy_metrics())
    assert(policies.call(world))
    assert.same({ votes = 3.5, polls = -3 }, values(world.node))
    assert(policies.call(world))
    assert.same({ votes = 7.0, polls = -3 }, values(world.node))
  end))

  it("can be counted wherever a policy has its node", with([[
    local kad = require("kadenza")
    return function(file_node) return { name = "p",
      metrics = { calls = { type = "counter", help = "Calls." } },
      on_start = function(node) node:count("calls") end,
      every = { { seconds = 1, run = function(node)
        node:count("calls", 10)
        kad.sleep(1e6)
      end } },
      types = { note = { validate = function(record, ctx)
        ctx.node:count("calls", 100)
        kad.sleep(0.1)
        file_node:count("calls", 100)
        return true
      end } },
    } end ]], function(world)
    assert(world.node:put(kad.key("a"), "x", { type = "note" }))
    kad.sleep(2)
    local value = values(world.node).calls
    assert.equal(11, value % 100)
    assert.is_true(value >= 211)
  end))

  for body, text in pairs({
    ['node:count("vots")'] =
      "policy.lua:6: no metric 'vots' is declared (did you mean 'votes'?)",
    ["node:count()"] = "no metric 'nil' is declared",
    ['node:count("polls")'] = "the metric 'polls' is a gauge: call node:gauge",
    ['node:gauge("votes", 1)'] =
      "the metric 'votes' is a counter: call node:count",
    ['node:count("votes", -1)'] = "amount must be a number from 0 to 2^53",
    ['node:count("votes", 1e300)'] = "amount must be a number from 0 to 2^53",
    ['node:count("votes", "1")'] = "amount must be a number, not string",
    ['node:count("votes", 0/0)'] = "amount must be finite",
    ['node:gauge("polls")'] = "value must be a number, not nil",
    ['node:gauge("polls", math.huge)'] = "value must be finite",
    ['node.count("votes")'] = "call 'count' with a colon: x:count()",
  }) do
    it("fail their hook for " .. body, with(counting(body), function(world)
      assert.is_nil((policies.call(world)))
      assert.equal(1, world.hooks()["p: rpc.run"].errors)
      assert.same({ votes = 0, polls = 0 }, values(world.node))
      world.after = function()
        assert.matches(text, failures(world.events)[1], 1, true)
      end
    end))
  end

  it("cost little to count", with(counting([[
    for i = 1, 20000 do node:count("votes") end
  ]]), function(world)
    assert(policies.call(world))
    assert.equal(20000, values(world.node).votes)
  end, { policy_instructions = 1000000 }))

  it("keep their values over a reload", with(counting([[
    node:count("votes", 5) node:gauge("polls", 2)
  ]]), function(world)
    assert(policies.call(world))
    world.files:write(counting([[node:count("votes")]],
      "save = function() return {} end"))
    assert(world.node:reload())
    assert.same({ votes = 5, polls = 2 }, values(world.node))
    assert(policies.call(world))
    assert(world.node:reload())
    assert.same({ votes = 6, polls = 2 }, values(world.node))
  end))

  it("begin at 0 when their type changes, and can be removed", with(
    counting([[node:count("votes", 5) node:gauge("polls", 2)]]),
    function(world)
      assert(policies.call(world))
      world.files:write([[ return { name = "p", metrics = {
        votes = { type = "gauge", help = "Votes." },
        more = { type = "counter", help = "More." } } } ]])
      assert(world.node:reload())
      assert.same({ votes = 0, more = 0 }, values(world.node))
      world.files:write("return { metrics = { votes = 7 } }")
      assert.is_nil((world.node:reload()))
      assert.same({ votes = 0, more = 0 }, values(world.node))
    end))

  it("must be well formed", function()
    for text, wanted in pairs({
      ["7"] = "metrics must be a table",
      ["{ 7 }"] = "'1' is not a name of a metric",
      ["{ Votes = { type = 'gauge', help = 'x' } }"] = "is not a name of",
      ["{ ['a b'] = { type = 'gauge', help = 'x' } }"] = "is not a name of",
      ["{ a_total = { type = 'counter', help = 'x' } }"] = "'_total' is added",
      ["{ a = 7 }"] = "metrics.a must be a table",
      ["{ a = { type = 'gauge' } }"] = "metrics.a.help must be a string",
      ["{ a = { help = 'x' } }"] = "metrics.a.type must be a string",
      ["{ a = { type = 'sum', help = 'x' } }"] = "must be 'counter' or 'gauge'",
      ["{ a = { type = 'gauge', help = '' } }"] = "one line of 1 to 200 bytes",
      ["{ a = { type = 'gauge', help = 'x\\ny' } }"] = "one line of 1 to 200",
      ["{ a = { type = 'gauge', help = '\\255' } }"] = "in UTF-8",
      ["{ a = { type = 'gauge', help = 'x', hlep = 1 } }"] =
        "unknown key 'hlep' in metrics.a (did you mean 'help'?)",
    }) do
      local node, message =
        policies.load("return { metrics = " .. text .. " }")
      assert.is_nil(node)
      assert.matches(wanted, message, 1, true)
    end
    local many = {}
    for i = 1, 257 do
      many["m" .. i] = { type = "gauge", help = "x" }
    end
    local _, message = policy.check({ { metrics = many } })
    assert.equal("policy 1: there are more than 256 metrics", message)
  end)

  it("belong to one policy", function()
    local function one(name)
      return { name = name, metrics = { a = { type = "gauge", help = "x" } } }
    end
    local _, message = policy.check({ one("p"), one("q") })
    assert.equal("policy 2: metric 'a' is claimed by policy 1 already", message)
  end)

  it("are those of the node's policies only", spec(function()
    local net <close> = kad.sim({ join = false })
    net:perform(function()
      local node = assert(net:open({}))
      assert.same({}, node:policy_metrics())
      assert.is_false(pcall(node.count, node, "a"))
    end)
  end))
end)

describe("metrics of a policy that is a table", function()
  it("are counted through its node", with({ name = "t",
    metrics = { runs = { type = "counter", help = "Runs." } },
    rpc = { run = function(_, ctx)
      ctx.node:count("runs")
      return {}
    end } }, function(world)
    assert(policies.call(world))
    assert.same({ runs = 1 }, values(world.node))
    assert(world.node:reload())
    assert(policies.call(world))
    assert.same({ runs = 2 }, values(world.node))
  end))
end)

describe("policy:metrics of kadenza.testing", function()
  it("returns the values by name", spec(function()
    local files <close> = policies.files()
    local path = files:write(counting([[node:count("votes")]]))
    local loaded <close> = assert(testing.load(path))
    assert.same({ votes = 0, polls = 0 }, loaded:metrics())
    assert.equal("accept", loaded:call("rpc.run", {}).verdict)
    assert.same({ votes = 1, polls = 0 }, loaded:metrics())
    assert(loaded:reload())
    assert.same({ votes = 1, polls = 0 }, loaded:metrics())
  end))
end)

-- Tests scripts/kadenza/metrics.lua, scripts/kadenza/metrics/families.lua.

local core = require("kadenza.core")
local families = require("kadenza.metrics.families")
local fixture = require("tests.spec.support.metrics")
local kad = require("kadenza")
local metrics = require("kadenza.metrics")
local support = require("tests.spec.support")

local FORMATS <const> = { "openmetrics", "plain" }

local function render(node, format)
  return fixture.read(metrics.new(node):render(format or "plain"),
    format or "plain")
end

-- Returns all counters of a node, each with a value of its own.
local function distinct_values()
  local stats, next_value = {}, 1000003
  for _, part in pairs(core.counters()) do
    for _, counter in ipairs(part) do
      stats[counter.name] = next_value
      next_value = next_value + 7
    end
  end
  return stats
end

describe("kadenza.metrics", function()
  for _, format in ipairs(FORMATS) do
    it("has every counter of a node once, in " .. format, function()
      local stats = distinct_values()
      local read = render(fixture.node({ stats = stats }), format)
      local found = {}
      for _, family in pairs(read) do
        for _, sample in ipairs(family.samples) do
          found[sample.value] = (found[sample.value] or 0) + 1
        end
      end
      local count = 0
      for name, value in pairs(stats) do
        assert.equal(1, found[value], name)
        count = count + 1
      end
      assert.is_true(count > 90, count)
    end)

    it("has well-formed text of a node with policies, in " .. format,
      support.spec(function()
        local net <close> = kad.sim({ nodes = 10, seed = 1,
          policies = { "scripts/policies/counter.lua" } })
        net:perform(function()
          assert(net.nodes[3]:put(kad.key("a"), "a=1", { type = "value" }))
        end)
        for _, node in ipairs(net.nodes) do
          local read = render(node, format)
          local name = format == "plain" and "kadenza_queries_total"
            or "kadenza_queries"
          assert.equal(node:stats().queries, read[name].samples[1].value)
          assert.equal("healthy", node:state())
          assert.equal(1, fixture.value(read, "kadenza_state",
            { state = "healthy" }))
          assert.equal(0, fixture.value(read, "kadenza_state",
            { state = "isolated" }))
        end
      end))
  end

  it("leaves out the figures that a node does not have", function()
    local read = render(fixture.node({ stats = { queries = 1 } }))
    assert.is_table(read.kadenza_queries_total)
    assert.is_nil(read.kadenza_disk_commits_total)
    assert.is_nil(read.kadenza_hook_calls_total)
    assert.is_nil(read.kadenza_operation_duration_seconds)
  end)

  it("groups counters by a label", function()
    local read = render(fixture.node({ stats = { served_ping = 7,
      dropped_by_policy = 3, send_enetunreach = 2, send_other = 1,
      send_rerouted = 9 } }))
    assert.equal(7, fixture.value(read, "kadenza_served_queries_total",
      { method = "ping" }))
    assert.equal(3, fixture.value(read, "kadenza_dropped_total",
      { reason = "by_policy" }))
    assert.equal(2, fixture.value(read, "kadenza_send_errors_total",
      { error = "ENETUNREACH" }))
    assert.equal(1, fixture.value(read, "kadenza_send_errors_total",
      { error = "other" }))
    assert.equal(9, fixture.value(read, "kadenza_send_rerouted_total"))
  end)

  it("has messages by kind, and records by type", support.spec(function()
    local net <close> = kad.sim({ nodes = 10, seed = 1 })
    net:perform(function()
      assert(net.nodes[2]:put(kad.key("a"), "1"))
      assert.is_nil((net.nodes[2]:call(net.nodes[3]:addresses()[1], "nothing",
        {})))
    end)
    local read = render(net.nodes[2])
    assert.equal(1, fixture.value(read, "kadenza_sent_queries_total",
      { method = "custom" }))
    assert.equal(1, fixture.value(read, "kadenza_received_errors_total",
      { code = "204" }))
    read = render(net.nodes[3])
    assert.equal(1, fixture.value(read, "kadenza_sent_errors_total",
      { code = "204" }))
    for _, node in ipairs(net.nodes) do
      assert.equal(node:held_types().value or 0, fixture.value(render(node),
        "kadenza_type_records", { type = "value" }) or 0)
    end
  end))

  it("shows the quotas of the options, or their defaults", function()
    local read = render(fixture.node({ config = { max_records = 77 } }))
    assert.equal(77, fixture.value(read, "kadenza_max_records"))
    assert.equal(67108864, fixture.value(read, "kadenza_max_record_bytes"))
  end)

  it("refuses a closed node and another format", function()
    for _, case in ipairs({ { {}, "xml", "format must be" },
      { { is_open = false }, "plain", "closed node" } }) do
      local succeeded, message = pcall(function()
        local _ = metrics.new(fixture.node(case[1])):render(case[2])
      end)
      assert.is_false(succeeded)
      assert.matches("metrics_spec.lua:%d+: " .. case[3], message)
    end
  end)
end)

describe("the metrics of kadenza.metrics", function()
  -- What a label may say: neither addresses nor ids nor keys.
  local LABELS <const> = { code = true, error = true, family = true,
    hook = true, lua = true, method = true, operation = true, outcome = true,
    query = true, reason = true, state = true, type = true, version = true }

  it("have names and labels by the rules of Prometheus", function()
    local seen = {}
    for _, family in ipairs(families.list()) do
      assert.matches("^[%l_]+$", family.name)
      assert.is_true(family.name:find("^kadenza_") ~= nil
        or family.name:find("^process_") ~= nil)
      assert.is_nil(family.name:match("_total$") or family.name:match("_count$")
        or family.name:match("_sum$") or family.name:match("_bucket$"))
      assert.matches("^[%u%d].*%.$", family.help)
      assert.is_nil(seen[family.name])
      seen[family.name] = true
      for _, label in ipairs(family.labels) do
        assert.is_true(LABELS[label], label)
      end
    end
  end)
end)

describe("histograms of kadenza.metrics", function()
  local counts = {}
  for i = 1, 18 do
    counts[i] = i
  end
  local read = render(fixture.node({ histograms = {
    { subject = "operation", kind = "get", outcome = "success",
      counts = counts, seconds = 12.5 },
    { subject = "reply", kind = "ip6", outcome = "failed",
      counts = counts, seconds = 0.25 },
    { subject = "served", kind = "put", outcome = "failed",
      counts = counts, seconds = 0.0 },
  } }))
  local NAME <const> = "kadenza_operation_duration_seconds"

  it("count all times up to each bound", function()
    local function bucket(bound)
      return fixture.value(read, NAME .. "_bucket",
        { operation = "get", outcome = "success", le = bound })
    end
    assert.equal(1, bucket("0.001"))
    assert.equal(3, bucket("0.002"))
    assert.equal(6, bucket("0.004"))
    assert.equal(153, bucket("65.536"))
    assert.equal(171, bucket("+Inf"))
    assert.equal(171, fixture.value(read, NAME .. "_count"))
    assert.equal(12.5, fixture.value(read, NAME .. "_sum"))
  end)

  it("have the labels of their subject", function()
    assert.equal(171, fixture.value(read,
      "kadenza_reply_duration_seconds_count",
      { family = "ip6", outcome = "failed" }))
    assert.equal(171, fixture.value(read,
      "kadenza_served_store_duration_seconds_count",
      { query = "put", outcome = "failed" }))
  end)

  it("have a bound for each count but the last", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1,
      policies = { "scripts/policies/counter.lua" } })
    local node = net.nodes[1]
    local by_name = {}
    for _, family in ipairs(families.list()) do
      by_name[family.name] = family
    end
    assert.equal(#node:histograms()[1].counts - 1, #by_name[NAME].bounds)
    for _, hook in pairs(node:stats().policies.hooks) do
      assert.equal(#hook.time - 1,
        #by_name.kadenza_hook_duration_seconds.bounds)
    end
  end))
end)

describe("metrics of hooks", function()
  local function hook(fields)
    local stats = { calls = 0, errors = 0, overruns = 0, yields = 0,
      preempted = 0, instructions = 0, seconds = 0.0, breaker_open = false,
      time = {} }
    for i = 1, 20 do
      stats.time[i] = 0
    end
    for name, value in pairs(fields) do
      stats[name] = value
    end
    return stats
  end

  local function node_with(hooks)
    return fixture.node({ stats = { policies = { hooks = hooks, memory = 5,
      clamped = 1, log_dropped = 0 } } })
  end

  it("have the name of the hook as label", function()
    local time = hook({}).time
    time[1], time[3], time[20] = 4, 2, 1
    local read = render(node_with({
      ["counter: counter.validate"] = hook({ calls = 7, breaker_open = true,
        time = time, seconds = 1.5 }),
      ["chat: on_request"] = hook({ errors = 2 }),
    }))
    local label = { hook = "counter: counter.validate" }
    local bucket = { hook = label.hook, le = "1e-06" }
    assert.equal(7, fixture.value(read, "kadenza_hook_calls_total", label))
    assert.equal(1, fixture.value(read, "kadenza_hook_breaker_open", label))
    assert.equal(2, fixture.value(read, "kadenza_hook_errors_total",
      { hook = "chat: on_request" }))
    local name = "kadenza_hook_duration_seconds"
    assert.equal(4, fixture.value(read, name .. "_bucket", bucket))
    bucket.le = "4e-06"
    assert.equal(6, fixture.value(read, name .. "_bucket", bucket))
    bucket.le = "0.262144"
    assert.equal(6, fixture.value(read, name .. "_bucket", bucket))
    assert.equal(7, fixture.value(read, name .. "_count", label))
    assert.equal(5, fixture.value(read, "kadenza_policies_memory_bytes"))
  end)

  it("have any bytes in their names", function()
    for _, piece in ipairs(require("tests.spec.support.bytes").PIECES) do
      local name = "p: a" .. piece .. "b"
      local read = render(node_with({ [name] = hook({ calls = 3 }) }))
      local shown = utf8.len(name) and name or nil
      assert.equal(3, fixture.value(read, "kadenza_hook_calls_total",
        { hook = shown }))
    end
  end)

  it("follow the hooks of a reload, in bounded memory", function()
    local stats = { policies = { memory = 0, clamped = 0, log_dropped = 0 } }
    local exporter = metrics.new(fixture.node({ stats = stats }))
    local most = 0
    for i = 1, 3000 do
      stats.policies.hooks = { ["p: h" .. i] = hook({ calls = i }) }
      local read = exporter:render("plain")
      if i % 500 == 0 then
        assert.equal(i, fixture.value(fixture.read(read, "plain"),
          "kadenza_hook_calls_total", { hook = "p: h" .. i }))
      end
      most = math.max(most, exporter.prefix_count)
    end
    assert.is_true(most <= 4096, most)
  end)

  it("are those of a policy that runs", support.spec(function()
    local net <close> = kad.sim({ nodes = 8, seed = 1, policies = { {
      name = "notes", types = { note = { validate = function()
        return true
      end } },
    } } })
    net:perform(function()
      assert(net.nodes[2]:put(kad.key("a"), "1", { type = "note" }))
    end)
    local calls = 0
    for _, node in ipairs(net.nodes) do
      local read = render(node)
      for name, stats in pairs(node:stats().policies.hooks) do
        assert.equal(stats.calls, fixture.value(read,
          "kadenza_hook_calls_total", { hook = name }))
        calls = calls + stats.calls
      end
    end
    assert.is_true(calls > 0)
  end))
end)

describe("metrics that policies declare", function()
  it("are named after the policy", function()
    local read = render(fixture.node({ policy_metrics = {
      { policy = "poll", name = "votes", type = "counter",
        help = 'Votes "cast"\\\nby all.', value = 12 },
      { policy = "my-poll", name = "open_total", type = "counter", value = 3 },
      { policy = "poll", name = "load", type = "gauge", help = "Load.",
        value = 0.1 },
    } }), "openmetrics")
    assert.equal(12, fixture.value(read, "kadenza_policy_poll_votes_total"))
    assert.equal('Votes \\"cast\\"\\\\\\nby all.',
      read.kadenza_policy_poll_votes.help)
    assert.equal(3, fixture.value(read, "kadenza_policy_my_poll_open_total"))
    assert.equal("open_total of the policy my-poll.",
      read.kadenza_policy_my_poll_open.help)
    assert.equal(0.1, fixture.value(read, "kadenza_policy_poll_load"))
  end)

  it("have the values that its hooks have counted", support.spec(function()
    local net <close> = kad.sim({ nodes = 4, seed = 1, policies = { {
      name = "notes",
      metrics = {
        stored = { type = "counter", help = "Notes stored." },
        longest = { type = "gauge", help = "Bytes of the longest note." },
      },
      types = { note = { validate = function(record, ctx)
        ctx.node:count("stored")
        ctx.node:gauge("longest", #record.value)
        return true
      end } },
    } } })
    net:perform(function()
      assert(net.nodes[2]:put(kad.key("a"), "123", { type = "note" }))
    end)
    local read = render(net.nodes[2])
    assert.is_true(fixture.value(read, "kadenza_policy_notes_stored_total") > 0)
    assert.equal(3, fixture.value(read, "kadenza_policy_notes_longest"))
    assert.equal("Notes stored.",
      read.kadenza_policy_notes_stored_total.help)
  end))

  it("are shown once where two have one name, or an unknown type", function()
    local read = render(fixture.node({ policy_metrics = {
      { policy = "a-b", name = "c", type = "gauge", value = 1 },
      { policy = "a_b", name = "c", type = "counter", value = 2 },
      { policy = "a", name = "d", type = "summary", value = 3 },
    } }))
    assert.equal(1, fixture.value(read, "kadenza_policy_a_b_c"))
    assert.is_nil(read.kadenza_policy_a_b_c_total)
    assert.is_nil(read.kadenza_policy_a_d)
  end)
end)

describe("metrics of the process", function()
  it("are those of core.usage", function()
    local read = render(fixture.node({}))
    assert.is_true(fixture.value(read, "process_cpu_seconds_total") > 0)
    assert.is_true(fixture.value(read, "process_start_time_seconds") > 1e9)
  end)

  it("are left out where the system does not tell", function()
    local text = metrics.new(fixture.node({}), function()
      return { cpu_seconds = 1.5 }
    end):render("plain")
    local read = fixture.read(text, "plain")
    assert.equal(1.5, fixture.value(read, "process_cpu_seconds_total"))
    assert.is_nil(read.process_open_fds)
    assert.is_nil(read.process_start_time_seconds)
  end)

  it("keep the time of the start until the clock is set", function()
    local started = 1700000000.25
    local exporter = metrics.new(fixture.node({}), function()
      return { start_time = started }
    end)
    local function shown()
      return fixture.value(fixture.read(exporter:render("plain"), "plain"),
        "process_start_time_seconds")
    end
    assert.equal(1700000000.25, shown())
    started = 1700000000.26
    assert.equal(1700000000.25, shown())
    started = 1700003600.26
    assert.equal(1700003600.26, shown())
    started = 1700003600.20
    assert.equal(1700003600.26, shown())
  end)
end)

-- Crawls among nodes that lie. Tests scripts/kadenza/crawl.lua.

local core = require("kadenza.core")
local crawl = require("kadenza.crawl")
local frontier = require("kadenza.crawl.frontier")
local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")

local FIRST <const> = "20.0.0.1:6881"

-- Returns the compact form of a contact (BEP 5).
local function compact(id, address)
  local a, b, c, d, port = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+):(%d+)$")
  return id .. string.pack(">BBBBI2", a, b, c, d, port)
end

-- The id of the node at an address.
local function id_of(address)
  return kad.key(address)
end

-- Returns contacts as a reply names them.
local function nodes_of(addresses)
  local parts = {}
  for i, address in ipairs(addresses) do
    parts[i] = compact(id_of(address), address)
  end
  return table.concat(parts)
end

-- A world that a node sees through its transport: `answer(address, query)`
-- returns the `r` of the reply and the seconds until it is sent, or nil.
local function open_world(net, answer)
  local world = { sent = {}, open = {}, known = {} }
  local node
  local function count_open(to, change)
    local subnet = frontier.subnet(to)
    world.open[subnet] = (world.open[subnet] or 0) + change
  end
  -- Tells whether a query is a new one: the core may send one twice.
  local function is_new_sample(query)
    local is_new = query.q == "sample_infohashes" and not world.known[query.t]
    world.known[query.t] = true
    return is_new
  end
  local function send(bytes, to)
    local query = core.decode(bytes)
    if query.y ~= "q" then
      return
    end
    local is_new = is_new_sample(query)
    world.sent[to] = (world.sent[to] or 0) + (is_new and 1 or 0)
    local fields, seconds = answer(to, query)
    if not fields then
      return
    end
    fields.id = id_of(to)
    count_open(to, is_new and 1 or 0)
    net.network:start_timer(math.ceil((seconds or 0.05) * 1000), function()
      count_open(to, is_new and -1 or 0)
      if node:is_open() then
        node:receive(core.encode({ t = query.t, y = "r", r = fields }), to)
      end
    end)
  end
  node = assert(net:open({ listen = "20.99.0.1:6881", read_only = true,
    allow_local = false, transport = { send = send } }))
  assert(node:bootstrap({ FIRST }))
  world.node = node
  return world
end

-- Returns a spec that runs `fn(net)` as a task of an empty overlay.
local function in_world(fn)
  return sim_support.with_sim({ join = false }, function(net)
    net:perform(fn, net)
  end)
end

local function run(world, options)
  local walk = assert(crawl.new(world.node, options))
  return assert(walk:run())
end

-- Returns some of a list, as many as fit a reply: others for each address.
local function some_of(list, address)
  local some, at = {}, id_of(address):byte()
  for i = 1, math.min(#list, 30) do
    some[i] = list[(at + i) % #list + 1]
  end
  return some
end

-- Returns `count` addresses, each in a subnet of its own.
local function addresses(count, block)
  local list = {}
  for i = 1, count do
    list[i] = ("%d.%d.%d.7:6881"):format(block or 30, i >> 8, i & 255)
  end
  return list
end

describe("a crawl among hostile nodes", function()
  it("ends although they invent contacts and info hashes without end",
    in_world(function(net)
      local made = 0
      local world = open_world(net, function(_, query)
        local named = {}
        for i = 1, 8 do
          made = made + 1
          named[i] = ("%d.%d.%d.9:6881"):format(40 + (made >> 16),
            made >> 8 & 255, made & 255)
        end
        local fields = { nodes = nodes_of(named) }
        if query.q == "sample_infohashes" then
          fields.samples = net.network:random(400)
          fields.num, fields.interval = 0x7FFFFFFF, 0x7FFFFFFF
        end
        return fields
      end)
      local summary = run(world, { max_nodes = 300, max_infohashes = 1000,
        rate = 100 })
      assert.equal("walked", summary.ended)
      assert.same({ 300, 1000 }, { summary.nodes, summary.infohashes })
      assert.is_true(summary.left_out > 1000)
      assert.is_true(summary.dropped > 4000)
      assert.equal(summary.supporting, summary.doubtful)
      assert.is_true(summary.num <= 20 * summary.supporting)
      assert.is_true(summary.seconds < 30)
    end))

  it("follows few nodes of one subnet, and asks the others between them",
    in_world(function(net)
      local crowd = {}
      for i = 1, 250 do
        crowd[i] = ("50.1.1.%d:6881"):format(i)
      end
      local honest, most = addresses(40), 0
      local world
      world = open_world(net, function(to, query)
        for _, open in pairs(world and world.open or {}) do
          most = math.max(most, open)
        end
        local fields = { nodes = nodes_of(some_of(to == FIRST and honest
          or to:find("^30%.0%.[0-9]%.") and honest or crowd, to)) }
        if query.q == "sample_infohashes" then
          fields.samples, fields.num, fields.interval = "", 0, 0
        end
        return fields, 0.4
      end)
      local summary = run(world, { rate = 50 })
      assert.equal("walked", summary.ended)
      assert.is_true(summary.crowded > 0)
      local in_crowd = 0
      for address, times in pairs(world.sent) do
        assert.is_true(times <= 1)
        in_crowd = in_crowd
          + (address:find("^50%.") and times > 0 and 1 or 0)
      end
      assert.equal(64, in_crowd)
      for _, address in ipairs(honest) do
        assert.equal(1, world.sent[address])
      end
      assert.equal(1, most)
    end))

  it("never asks a martian, nor an address under two ids",
    in_world(function(net)
      local bad = { "0.0.0.0:1", "127.0.0.1:80", "10.0.0.1:80",
        "192.168.1.1:80", "224.0.0.1:80", "255.255.255.255:80",
        "169.254.1.1:80" }
      local good = addresses(10)
      local world = open_world(net, function(to, query)
        local parts = { nodes_of(bad), nodes_of(good) }
        for _, address in ipairs(good) do -- under ids that are not theirs
          parts[#parts + 1] = compact(net.network:random(20), address)
          table.insert(parts, 1, compact(kad.key(to .. address), address))
        end
        local fields = { nodes = table.concat(parts):sub(1, 26 * 40) }
        if query.q == "sample_infohashes" then
          fields.samples = kad.key(to)
          fields.num, fields.interval = 1, 60
        end
        return fields
      end)
      local seen = {}
      local summary = run(world, { on_node = function(report)
        seen[report.address] = report.id
      end })
      assert.equal("walked", summary.ended)
      assert.equal(summary.nodes, summary.infohashes)
      assert.is_true(summary.nodes <= 11)
      assert.is_true(summary.unreachable >= #bad)
      for _, address in ipairs(bad) do
        assert.is_nil(world.sent[address])
      end
      for _, address in ipairs(good) do
        assert.equal(1, world.sent[address])
        assert.equal(id_of(address), seen[address])
      end
    end))

  it("bears samples, numbers and intervals of garbage", in_world(function(net)
    local garbage = { { samples = "short" }, { samples = 5 }, { samples = {} },
      { samples = "", num = -1 }, { samples = "", num = "many" },
      { samples = "", interval = -5 }, { samples = "", interval = "soon" },
      { samples = ("y"):rep(20 * 60), num = 1, interval = math.maxinteger },
      { samples = "", num = math.maxinteger }, {} }
    local list = addresses(#garbage)
    local world = open_world(net, function(to, query)
      local fields = { nodes = nodes_of(list) }
      for i, address in ipairs(list) do
        if query.q == "sample_infohashes" and address == to then
          for name, value in pairs(garbage[i]) do
            fields[name] = value
          end
        end
      end
      return fields
    end)
    local summary = run(world)
    assert.equal("walked", summary.ended)
    assert.equal(#garbage + 1, summary.nodes)
    assert.equal(0, summary.waiting)
    assert.is_true(summary.infohashes <= 1)
    assert.is_true(summary.num <= 100)
    assert.equal(#garbage + 1, summary.plain + summary.silent
      + summary.supporting)
  end))

  it("does not wait for slow and silent nodes one by one",
    in_world(function(net)
      local slow, silent = addresses(60), addresses(60, 31)
      local most = 0
      local world
      world = open_world(net, function(to, query)
        if to:find("^31") then
          return nil
        end
        local open = 0
        for _, count in pairs(world and world.open or {}) do
          open = open + count
        end
        most = math.max(most, open)
        local fields = { nodes = nodes_of(some_of(
          to:find("^30%.0%.%d*[02468]%.") and silent or slow, to)) }
        if query.q == "sample_infohashes" then
          fields.samples, fields.num, fields.interval = "", 0, 0
        end
        return fields, 1.5
      end)
      local summary = run(world, { rate = 200 })
      assert.equal("walked", summary.ended)
      assert.equal(61, summary.supporting)
      assert.equal(60, summary.silent)
      assert.is_true(most <= 64)
      assert.is_true(summary.seconds < 30) -- one by one, it takes more than 90
    end))

  for _, kind in ipairs({ "liar", "garbage", "flooder" }) do
    it("finds the honest nodes among those of the kind " .. kind,
      sim_support.with_sim({ nodes = 60, seed = 6 }, function(net)
        net:perform(function()
          local node = assert(net:open({ read_only = true }))
          assert(node:bootstrap({ net.nodes[1]:addresses()[1] }))
          local bad = {}
          for _, other in ipairs(net:hostile(10, kind)) do
            bad[other] = true
          end
          local seen = {}
          local summary = assert(assert(crawl.new(node, {
            on_node = function(report)
              seen[report.address] = report
            end,
          })):run())
          assert.equal("walked", summary.ended)
          for _, other in ipairs(net.nodes) do
            if not bad[other] and other ~= node then
              local report = seen[other:addresses()[1]]
              assert.is_truthy(report and report.samples)
            end
          end
        end)
      end))
  end
end)

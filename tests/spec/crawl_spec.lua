-- Tests scripts/kadenza/crawl.lua and the modules in scripts/kadenza/crawl, in
-- virtual time.

local core = require("kadenza.core")
local crawl = require("kadenza.crawl")
local kad = require("kadenza")
local sim_support = require("tests.spec.sim_support")
local support = require("tests.spec.support")

local with_sim = sim_support.with_sim

-- Returns a node that has joined an overlay and is no part of it.
local function open_client(net)
  local node = assert(net:open({ read_only = true }))
  assert(node:bootstrap({ net.nodes[1]:addresses()[1] }))
  return node
end

-- Announces under `count` info hashes; returns them as keys of a table.
local function announce(net, count)
  local infohashes = {}
  for i = 1, count do
    local infohash = kad.key("torrent " .. i)
    assert(net.nodes[i * 7 % #net.nodes + 1]:announce(infohash, 6881))
    infohashes[infohash] = true
  end
  return infohashes
end

-- Returns options that collect what a crawl reports, and the collection.
local function collecting(options)
  local found = { infohashes = {}, nodes = {}, order = {} }
  options = options or {}
  options.on_infohash = function(infohash, contact)
    assert.is_nil(found.infohashes[infohash])
    found.infohashes[infohash] = contact
    found.order[#found.order + 1] = infohash
  end
  options.on_node = function(report)
    assert.is_nil(found.nodes[report.address])
    found.nodes[report.address] = report
  end
  return options, found
end

local function size_of(map)
  local size = 0
  for _ in pairs(map) do
    size = size + 1
  end
  return size
end

-- Runs a crawl; returns its summary and what it has reported.
local function run(node, options)
  local given, found = collecting(options)
  local walk = assert(crawl.new(node, given))
  return assert(walk:run()), found, walk
end

describe("kadenza.crawl", function()
  for seed = 1, 3 do
    it("finds all nodes and info hashes of an overlay, seed " .. seed,
      with_sim({ nodes = 100, seed = seed }, function(net)
        net:perform(function()
          local held = announce(net, 60)
          local summary, found = run(open_client(net))

          assert.is_true(summary.supporting >= 99)
          assert.equal(summary.supporting, summary.nodes)
          assert.equal(summary.supporting, size_of(found.nodes))
          for infohash in pairs(held) do
            assert.is_truthy(found.infohashes[infohash])
          end
          assert.equal(60, summary.infohashes)
          assert.equal("walked", summary.ended)
          assert.equal(summary.nodes, summary.queries) -- each was asked once
          assert.equal(0, summary.waiting)
          assert.is_true(summary.num >= 60 * 8)
        end)
      end))
  end

  it("walks IPv4 and IPv6 side by side", with_sim({ nodes = 20 },
    function(net)
      local six = {}
      net:perform(function()
        for i = 1, 15 do
          local address = ("[2001:db9:%x::1]:6881"):format(i)
          six[i] = assert(net:open({ listen = i == 1
            and { net:fresh_address(), address } or address }))
          local _ = i > 1 and assert(six[i]:bootstrap(
            { "[2001:db9:1::1]:6881" }))
        end
        assert(six[1]:bootstrap({ net.nodes[1]:addresses()[1] }))
        assert(six[15]:announce(kad.key("six"), 6881))
        assert(net.nodes[4]:announce(kad.key("four"), 6881))
        local node = assert(net:open({ read_only = true,
          listen = { net:fresh_address(), "[2001:db9:99::1]:6881" } }))
        assert(node:bootstrap({ net.nodes[1]:addresses()[1],
          "[2001:db9:1::1]:6881" }))

        local summary, found = run(node)
        assert.is_true(summary.supporting >= 35)
        assert.is_truthy(found.infohashes[kad.key("six")])
        assert.is_truthy(found.infohashes[kad.key("four")])
        for _, other in ipairs(six) do
          assert.is_truthy(found.nodes[other:addresses()
            [#other:addresses()]])
        end
      end)
    end))

  it("keeps its rate", with_sim({ nodes = 60, seed = 2 }, function(net)
    net:perform(function()
      local node = open_client(net)
      local times = {}
      local sample = node.sample
      node.sample = function(...)
        times[#times + 1] = net:now()
        return sample(...)
      end
      local summary = run(node, { rate = 5 })
      assert.equal(summary.queries, #times)
      assert.is_true(#times >= 59)
      for i = 6, #times do
        assert.is_true(times[i] - times[i - 5] >= 0.99)
      end
      assert.is_true(summary.seconds < #times / 5 + 2)
    end)
  end))

  it("ends after a number of info hashes, of nodes, or a time",
    with_sim({ nodes = 60 }, function(net)
      net:perform(function()
        announce(net, 30)
        local node = open_client(net)
        local summary, found = run(node, { total = 7 })
        assert.same({ "total", 7 }, { summary.ended, #found.order })
        summary, found = run(node, { total = 9, count = "nodes" })
        assert.same({ "total", 9 }, { summary.ended, size_of(found.nodes) })
        local before = net:now()
        summary = run(node, { seconds = 2, rate = 4 })
        assert.equal("seconds", summary.ended)
        assert.is_true(math.abs(net:now() - before - 2) < 0.01)
        assert.is_true(summary.queries <= 9)
        assert.is_true(summary.waiting > 0)
      end)
    end))

  it("stops when it is told to, and runs once", with_sim({ nodes = 20 },
    function(net)
      net:perform(function()
        local node = open_client(net)
        local walk
        walk = assert(crawl.new(node, { on_node = function()
          walk:stop("enough")
        end }))
        assert.equal("enough", assert(walk:run()).ended)
        support.assert_blames_caller("a crawl runs once", function()
          walk:run()
        end)
      end)
    end))

  it("raises the errors of its callbacks", with_sim({ nodes = 20 },
    function(net)
      net:perform(function()
        local walk = assert(crawl.new(open_client(net), {
          on_node = function()
            error("mine")
          end,
        }))
        local passed, err = pcall(walk.run, walk)
        assert.is_false(passed)
        assert.matches("mine", err)
      end)
    end))

  it("ends when its node closes", with_sim({ nodes = 20 }, function(net)
    net:perform(function()
      local node = open_client(net)
      local walk
      walk = assert(crawl.new(node, { on_node = function()
        node:close()
      end }))
      assert.equal("closed", assert(walk:run()).ended)
    end)
  end))

  it("needs a node with contacts, and says so", with_sim({ nodes = 2 },
    function(net)
      net:perform(function()
        local lone = assert(net:open())
        local walk = assert(crawl.new(lone))
        local summary, _, code = walk:run()
        assert.same({ nil, "KAD_ENOCONTACTS" }, { summary, code })
        support.assert_blames_caller("a crawl needs a node", function()
          crawl.new({})
        end)
        support.assert_blames_caller("option 'rate' must be in 1 to 1000",
          function()
            crawl.new(lone, { rate = 0 })
          end)
      end)
    end))

  it("goes on by nodes that give no samples, and counts silent ones",
    with_sim({ nodes = 60, seed = 3 }, function(net)
      net:perform(function()
        local node = open_client(net)
        net:hostile(10, "silent")
        -- An arbitrary half of the nodes does not know the query.
        local function is_plain(address)
          return address:match("%.(%d+)%.%d+:") % 2 == 0
        end
        local sample = node.sample
        node.sample = function(self, address, ...)
          if is_plain(address) then
            return nil, "method unknown", "KAD_EREMOTE"
          end
          return sample(self, address, ...)
        end
        local summary, found = run(node)
        assert.equal("walked", summary.ended)
        assert.is_true(summary.plain > 10)
        assert.is_true(summary.supporting > 10)
        assert.is_true(summary.supporting + summary.plain >= 49)
        assert.equal(10, summary.silent)
        for _, report in pairs(found.nodes) do
          assert.equal(is_plain(report.address), report.samples == nil)
        end
      end)
    end))
end)

describe("the state of a crawl", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    remove()
  end)

  local function path()
    return folder .. "/crawl.state"
  end

  it("lets a later run go on without asking again",
    with_sim({ nodes = 80, seed = 4 }, function(net)
      net:perform(function()
        announce(net, 40)
        local node = open_client(net)
        local asked = {}
        local sample = node.sample
        node.sample = function(self, address, ...)
          asked[address] = (asked[address] or 0) + 1
          local samples, info, code = sample(self, address, ...)
          if samples then
            info.interval = 3000
          end
          return samples, info, code
        end
        local first, seen = run(node, { state = path(), total = 30,
          count = "nodes" })
        assert.equal("total", first.ended)
        local second, more = run(node, { state = path() })
        assert.equal("walked", second.ended)
        assert.is_true(second.supporting >= 79)
        assert.equal(40, second.infohashes)
        for infohash in pairs(seen.infohashes) do
          assert.is_nil(more.infohashes[infohash])
        end
        assert.equal(40, size_of(seen.infohashes) + size_of(more.infohashes))
        for address in pairs(seen.nodes) do
          assert.equal(1, asked[address])
        end
        assert.equal(second.queries, (function()
          local sum = 0
          for _, times in pairs(asked) do
            sum = sum + times
          end
          return sum
        end)())

        local third = run(node, { state = path() })
        assert.equal(second.queries, third.queries)
        kad.sleep(3001)
        local fourth = run(node, { state = path() })
        assert.equal(second.supporting, fourth.supporting)
        assert.equal(second.queries + second.nodes, fourth.queries)
        assert.equal(40, fourth.infohashes)
      end)
    end))

  it("is refused if it is damaged, and not written over",
    with_sim({ nodes = 20 }, function(net)
      net:perform(function()
        local node = open_client(net)
        run(node, { state = path() })
        local whole = assert(core.read_file(path(), 1 << 20))
        local function refused(bytes, text)
          assert(core.write_file(path(), bytes))
          local walk, message, code = crawl.new(node, { state = path() })
          assert.is_nil(walk)
          assert.equal("KAD_EMALFORMED", code)
          assert.matches(text, message, 1, true)
          assert.matches(path(), message, 1, true)
          assert.equal(bytes, core.read_file(path(), 1 << 20))
        end
        for _, at in ipairs({ 0, 1, #whole // 2, #whole - 1 }) do
          refused(whole:sub(1, at), "not the state of a crawl")
        end
        refused("my notes\n", "not the state of a crawl")
        refused(core.encode({ version = 1, id = ("x"):rep(20) }),
          "not the state of a crawl")
        local outer = core.decode(whole)
        for at = 1, #outer.body, 97 do
          local body = outer.body:sub(1, at - 1)
            .. string.char(outer.body:byte(at) ~ 1) .. outer.body:sub(at + 1)
          refused(core.encode({ format = outer.format, version = 1,
            hash = outer.hash, body = body }), "damaged")
        end
        refused(core.encode({ format = outer.format, version = 2,
          hash = outer.hash, body = outer.body }), "newer")
        local inner = core.decode(outer.body)
        local function forged(name, value)
          local fields = {}
          for key, given in pairs(inner) do
            fields[key] = given
          end
          fields[name] = value
          local body = core.encode(fields)
          return core.encode({ format = outer.format, version = 1,
            hash = kad.hash(body), body = body })
        end
        refused(forged("bits", 256), "256 bits")
        refused(forged("infohashes", "short"), "damaged")
        refused(forged("nodes", inner.nodes .. "x"), "damaged")
        refused(forged("nodes", ("\255"):rep(60)), "damaged")
        refused(forged("queries", -1), "damaged")
        refused(forged("time", nil), "damaged")
        refused(forged("nodes", { {}, {}, {} }), "damaged")
      end)
    end))

  it("is not fooled by a clock that jumps", with_sim({ nodes = 30 },
    function(net)
      net:perform(function()
        local node = open_client(net)
        local saved = require("kadenza.crawl.saved")
        local now = { wall = 1700000000, boot = 50, boot_id = "a" }
        assert(saved.write(path(), { nodes = { { address = "20.0.9.9:1",
          id = ("x"):rep(20), kind = "sampled", rest = 1e9, num = 3 } },
          infohashes = {}, queries = 1, seconds = 1.5 }, 160, now))
        local function rest_at(reading)
          return assert(saved.read(path(), 160, reading)).nodes[1].rest
        end
        assert.equal(21600, rest_at(now))
        assert.equal(21600, rest_at({ wall = 1600000000, boot = 9,
          boot_id = "b" }) + 9)
        assert.equal(21500, rest_at({ wall = 1800000000, boot = 150,
          boot_id = "a" }))
        assert.equal(0, rest_at({ wall = 1800000000, boot = 1,
          boot_id = "b" }))
        assert.equal(1, run(node, { state = path(), total = 1,
          count = "nodes" }).infohashes + 1)
      end)
    end))

  it("is written before the walk begins, or the crawl does not begin",
    with_sim({ nodes = 20 }, function(net)
      net:perform(function()
        local node = open_client(net)
        local walk = assert(crawl.new(node,
          { state = folder .. "/missing/state" }))
        local summary, message, code = walk:run()
        assert.same({ nil, "KAD_ESYSTEM" }, { summary, code })
        assert.matches("missing/state", message, 1, true)
        assert.equal(0, walk:summary().queries)
      end)
    end))

  it("is saved each so often", with_sim({ nodes = 60 }, function(net)
    net:perform(function()
      local node = open_client(net)
      local walk = assert(crawl.new(node, { state = path(), rate = 5,
        save_seconds = 2 }))
      local job = kad.spawn(function()
        return walk:run()
      end)
      kad.sleep(7)
      job:cancel() -- as a power failure
      local later = assert(crawl.new(node, { state = path() }))
      assert.is_true(later:summary().queries >= 25)
      assert.is_true(later:summary().queries <= walk:summary().queries)
    end)
  end))
end)

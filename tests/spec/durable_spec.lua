-- Tests scripts/kadenza/durable.lua, bindings/lua/durable.c: records of a node
-- that are in its state folder.

local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("tests.spec.support")

local spec, local_node = support.spec, support.local_node

-- How often the killed node starts. DURABLE_KILLS=100 takes a minute.
local KILLS <const> = tonumber(os.getenv("DURABLE_KILLS") or 5)

-- A program that stores values with growing numbers at its own node, on the
-- folder in argument 1, from the number in argument 2 on, and prints each that
-- is acknowledged. Every tenth replaces none, but renews an older one. Every
-- seventh is published, or, when it was, not any more: "-" and its number.
local STORING <const> = [[
  local kad = require("kadenza")
  local core = require("kadenza.core")
  local folder, first = arg[1], math.tointeger(arg[2])
  kad.run(function()
    local node = assert(kad.node({ listen = "127.0.0.1:0",
      allow_local = true, state = folder, store = "lmdb" }))
    for i = first, first + 100000 do
      local name = tostring(i % 10 == 9 and i - 5 or i)
      if i % 14 == 13 then
        name = "-" .. (i - 7)
        local done, message = node:unpublish(kad.key(tostring(i - 7)))
        assert(done or i == first, message) -- the last thing before the end
      elseif i % 7 == 6 then
        assert(node:publish(kad.key(name), name))
      else
        assert(node:put(kad.key(name), name))
      end
      io.write(i, " ", name, "\n")
      io.flush()
    end
  end)
]]

-- Opens a node with its records in `folder`.
local function open(folder, more)
  local options = { state = folder, store = "lmdb" }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return kad.node(local_node(options))
end

-- Does the same, once the process that was killed has let go of the folder.
local function open_again(folder)
  local node, message, code
  for _ = 1, 100 do
    node, message, code = open(folder)
    if code ~= "KAD_EBUSY" then
      break
    end
    kad.sleep(0.05)
  end
  return node, message
end

local function holds(node, name)
  local held = node:held(kad.key(name))
  return held[1] ~= nil and held[1].value == name
end

-- What the program began last, the number `next`, may be done without that it
-- was acknowledged.
local function assert_publishes(node, published, next)
  local values = {}
  for _, record in ipairs(node:publications()) do
    values[record.value] = true
  end
  for value in pairs(published) do
    assert.is_true(values[value] or value == tostring(next - 7), value)
  end
  for value in pairs(values) do
    assert.is_true(published[value] or value == tostring(next), value)
  end
end

describe("a node with store = 'lmdb'", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    remove()
  end)

  it("has its records again after a restart", spec(function()
    kad.run(function()
      local node = assert(open(folder))
      assert(node:put(kad.key("one"), "one"))
      node:close()

      local again = assert(open(folder))
      assert.is_true(holds(again, "one"))
      assert.equal(1, again:stats().disk_loaded)
      assert.equal(0, again:stats().disk_failing)
      again:close()
    end)
  end))

  it("acknowledges with store_sync = 'commit' what is flushed", spec(function()
    kad.run(function()
      local node = assert(open(folder, { store_sync = "commit" }))
      assert(node:put(kad.key("one"), "one"))
      assert.is_true(node:stats().disk_flushes > 0)
      node:close()
    end)
  end))

  it("keeps in virtual time what was due when it ends", spec(function()
    local net <close> = kad.sim({ nodes = 0, seed = 1 })
    net:perform(function()
      local node = assert(net:open({ state = folder, store = "lmdb" }))
      assert(node:put(kad.key("one"), "one", { ttl = 7200 }))
      kad.sleep(600)
      node:close()
      kad.sleep(3000)

      local again = assert(net:open({ state = folder, store = "lmdb" }))
      local record = again:held(kad.key("one"))[1]
      assert.is_true(record.ttl >= 3595 and record.ttl <= 3600)
      kad.sleep(3601)
      assert.same({}, again:held(kad.key("one")))
    end)
  end))

  -- 16 stores a second are two records for eight holders.
  it("spreads what is due at a restart, and sends nothing twice",
    spec(function()
      local net <close> = kad.sim({ nodes = 10, seed = 3 })
      net:perform(function()
        local options = { state = folder, store = "lmdb", stores_per_s = 16 }
        local function restart(node, seconds)
          node:close()
          kad.sleep(seconds)
          node = assert(net:open(options))
          assert(node:bootstrap(net.nodes[1]:addresses()))
          return node
        end
        local node = assert(net:open(options))
        for i = 1, 60 do
          assert(node:put(kad.key("key " .. i), "value"))
        end

        node = restart(node, 7200)
        kad.sleep(10)
        local first = node:stats().republishes
        assert.is_true(first >= 10 and first <= 22, first)
        kad.sleep(1800)
        local all = node:stats().republishes
        assert.is_true(all >= 50 and all <= 60, all) -- others sent the rest
        node = restart(node, 60)
        kad.sleep(900)
        assert.equal(0, node:stats().republishes)
        node:close()
      end)
    end))

  it("needs a folder", function()
    assert.error_matches(function()
      kad.node({ store = "lmdb" })
    end, "needs the option 'state'")
  end)

  it("is not opened over records of a newer kadenza", spec(function()
    kad.run(function()
      local node = assert(open(folder))
      node:close()
      local other, message, code = open(folder, { id_bits = 256 })
      assert.is_nil(other)
      assert.matches("160 bits, not 256", message)
      assert.equal("KAD_EINVAL", code)
    end)
  end))

  it("logs that a corrupt file was set aside", spec(function()
    kad.run(function()
      local node = assert(open(folder))
      node:close()
      assert(core.write_file(folder .. "/records.mdb", ("x"):rep(10000)))
      local events = support.logged(function()
        assert(open(folder)):close()
      end)
      local found = false
      for _, event in ipairs(events) do
        found = found or event.message:find("set aside", 1, true) ~= nil
      end
      assert.is_true(found)
      assert.is_truthy(core.exists(folder .. "/records.mdb.corrupt"))
    end)
  end))

  -- The signal hits anywhere: before, in or after a write.
  it("has after kill -9 all that it acknowledged", spec(function()
    local lua = os.getenv("LUA") or "lua5.4"
    local program, output = folder .. ".lua", folder .. ".out"
    assert(core.write_file(program, STORING))
    local acknowledged, published, first = {}, {}, 1
    for kill = 1, KILLS do
      os.execute(("timeout -s KILL %.3f %s %s %s %d >%s 2>/dev/null"):format(
        0.3 + (kill * 0.137) % 0.9, lua, program, folder, first, output))
      for line in io.lines(output) do
        local number, name = line:match("^(%d+) (%-?%d+)$")
        if name:sub(1, 1) == "-" then
          published[name:sub(2)] = nil
        else
          acknowledged[name] = true
          published[name] = published[name] or number % 7 == 6 or nil
        end
        first = math.max(first, math.tointeger(tonumber(number)) + 1)
      end
      kad.run(function()
        local node = assert(open_again(folder))
        for name in pairs(acknowledged) do
          assert.is_true(holds(node, name), name)
        end
        assert.equal(0, node:stats().disk_corrupt)
        assert_publishes(node, published, first)
        node:close()
      end)
    end
    os.remove(program)
    os.remove(output)
    assert.is_true(first > KILLS)
  end))
end)

describe("kadenza.core.read_records", function()
  it("reads the records of a node that runs", support.with_folder(
    function(folder)
      kad.run(function()
        local node = assert(open(folder))
        assert(node:put(kad.key("one"), "one"))
        local values = {}
        local count, bits = core.read_records(folder, function(record)
          table.insert(values, record.value)
        end)
        assert.same({ 1, 160 }, { count, bits })
        assert.same({ "one" }, values)
        node:close()
      end)
    end))

  it("passes on an error of its function", support.with_folder(
    function(folder)
      kad.run(function()
        local node = assert(open(folder))
        assert(node:put(kad.key("one"), "one"))
        assert.error_matches(function()
          core.read_records(folder, function()
            error("no more")
          end)
        end, "no more")
        node:close()
      end)
    end))

  it("returns nil for a folder without records", support.with_folder(
    function(folder)
      local count, message, code = core.read_records(folder, print)
      assert.is_nil(count)
      assert.matches("records.mdb", message)
      assert.equal("KAD_ENOTFOUND", code)
    end))
end)

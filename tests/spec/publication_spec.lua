local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("tests.spec.support")

local spec = support.spec

describe("publications", function()
  -- Runs `fn` with a simulation of ten nodes and a folder.
  local function with_net(fn)
    return support.with_folder(function(folder)
      local net <close> = kad.sim({ nodes = 10, seed = 5,
        config = { secure_ids = "off" } }) -- ids are chosen
      fn(net, folder)
    end)
  end

  -- Opens a node with a state folder and joins it.
  local function open(net, folder, more)
    local options = { state = folder, id = ("a1"):rep(20) }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    local node = assert(net:open(options))
    net:perform(function()
      assert(node:bootstrap(net.nodes[1]:addresses()))
    end)
    return node
  end

  local function values_of(node)
    local values = {}
    for _, record in ipairs(node:publications()) do
      values[#values + 1] = record.value
    end
    table.sort(values)
    return values
  end

  -- Returns the number of nodes that hold a record under `key`.
  local function holders(net, key)
    local count = 0
    for _, node in ipairs(net.nodes) do
      if node:is_open() and node:held(key)[1] then
        count = count + 1
      end
    end
    return count
  end

  it("are the records of publish", with_net(function(net, folder)
    local node = open(net, folder)
    net:perform(function()
      assert(node:publish(kad.key("a"), "1"))
      assert(node:publish(kad.key("a"), "2", { ttl = 600 }))
      assert(node:put(kad.key("a"), "3"))
    end)

    assert.same({ "1", "2" }, values_of(node))
    assert.equal(2, node:stats().publications)
    for _, record in ipairs(node:publications()) do
      assert.equal(record.value == "2" and 600 or nil, record.ttl)
    end
  end))

  it("last until they are unpublished", with_net(function(net, folder)
    local node = open(net, folder)
    net:perform(function()
      assert(node:publish(kad.key("a"), "1"))
      assert(node:publish(kad.key("a"), "2"))
    end)

    assert.is_true(node:unpublish(kad.key("a"), { value = "1" }))
    assert.same({ "2" }, values_of(node))
    assert.is_true(node:unpublish(kad.key("a")))
    assert.same({}, values_of(node))
    local _, _, code = node:unpublish(kad.key("a"))
    assert.equal("KAD_ENOTFOUND", code)
    assert.has_error(function()
      node:unpublish(kad.key("a"), { kind = "value" })
    end, "unknown option 'kind'")
  end))

  it("survive a restart of every node", with_net(function(net, folder)
    local node = open(net, folder)
    local key = kad.key("a")
    net:perform(function()
      assert(node:publish(key, "1"))
      assert(node:publish(kad.key("b"), "2", { ttl = 7200 }))
    end)
    node:close()
    for i = 2, 10 do
      net.nodes[i]:close()
    end
    net:run(600)
    for _ = 2, 10 do
      local fresh = assert(net:open())
      net:perform(function()
        assert(fresh:bootstrap(net.nodes[1]:addresses()))
      end)
    end
    assert.is_true(holders(net, key) <= 1)

    local again = open(net, folder)
    assert.same({ "1", "2" }, values_of(again))
    for _, record in ipairs(again:publications()) do
      assert.is_true(record.value == "1" or record.ttl <= 6600)
    end
    net:run(120)
    assert.equal(8, holders(net, key))
  end))

  it("are not published again after they expired", with_net(function(net,
    folder)
    local node = open(net, folder)
    net:perform(function()
      assert(node:publish(kad.key("a"), "1", { ttl = 600 }))
    end)
    node:close()
    net:run(700)

    assert.same({}, values_of(open(net, folder)))
  end))

  -- What kill -9 would leave of a folder now, in a folder of its own.
  local function crash(folder)
    local copy = folder .. "/crash"
    -- The sanitizer of the specs is not for these programs.
    assert(os.execute(("unset LD_PRELOAD; rm -rf '%s' && mkdir '%s' && "
      .. "cp '%s'/*.* '%s'"):format(copy, copy, folder, copy)))
    return copy
  end

  -- Returns the values that a node on a copy of the folder publishes.
  local function after_crash(net, folder)
    local node = assert(net:open({ state = crash(folder) }))
    local values = values_of(node)
    node:close()
    return values
  end

  it("are saved when publish returns", with_net(function(net, folder)
    local node = open(net, folder)
    local _, secret = core.keypair(("s"):rep(32))
    net:perform(function()
      assert(node:publish(kad.key("a"), "1"))
      assert(node:publish(kad.key("a"), "2", { ttl = 600 }))
      assert(node:publish(kad.key("b"), "old", { secret = secret, seq = 1 }))
      assert(node:publish(kad.key("b"), "new", { secret = secret, seq = 2 }))
    end)
    assert.same({ "1", "2", "new" }, after_crash(net, folder))
    assert.is_true(node:unpublish(kad.key("a"), { value = "1" }))
    assert.same({ "2", "new" }, after_crash(net, folder))
    assert(node:save())
    assert.same({ "2", "new" }, after_crash(net, folder))
    assert.is_true(node:unpublish(kad.key("b")))
    assert.same({ "2" }, after_crash(net, folder))
    net:run(700)
    assert.same({}, after_crash(net, folder))
  end))

  it("are the same if a save has ended before the journal was emptied",
    with_net(function(net, folder)
      local node = open(net, folder)
      net:perform(function()
        assert(node:publish(kad.key("a"), "1"))
        assert(node:unpublish(kad.key("a")))
        assert(node:publish(kad.key("a"), "2"))
      end)
      local journal = assert(core.read_saved(folder .. "/own.journal", 1 << 20))
      assert(node:save())
      assert(core.write_file(folder .. "/own.journal", journal, "private"))
      assert.same({ "2" }, after_crash(net, folder))
    end))

  it("leave no journal when the node is closed", with_net(function(net, folder)
    local node = open(net, folder)
    net:perform(function()
      assert(node:publish(kad.key("a"), "1"))
    end)
    assert.is_truthy(core.exists(folder .. "/own.journal"))
    node:close()
    assert.is_falsy(core.exists(folder .. "/own.journal"))
  end))

  it("are kept up to where their journal is cut", with_net(function(net, folder)
    local node = open(net, folder)
    net:perform(function()
      assert(node:publish(kad.key("a"), "1"))
      assert(node:publish(kad.key("a"), "2"))
    end)
    local copy = crash(folder)
    local path = copy .. "/own.journal"
    local bytes = assert(core.read_saved(path, 1 << 20))
    assert(core.write_file(path, bytes:sub(1, -2), "private"))
    local again
    local events = support.logged(function()
      again = assert(net:open({ state = copy }))
    end)
    assert.same({ "1" }, values_of(again))
    assert.equal(path .. ".corrupt", events[1].fields.aside)
    again:close()
    assert.same({ "1" }, values_of(assert(net:open({ state = copy }))))
  end))

  it("of a newer kadenza are not touched", with_net(function(net, folder)
    local journal = assert(core.open_journal(folder .. "/own.journal", 0))
    assert(journal:append(core.encode({ version = 2 })))
    journal:close()
    local node, message, code = net:open({ state = folder })
    assert.is_nil(node)
    assert.matches("own.journal: it is of the newer version 2", message, 1,
      true)
    assert.equal("KAD_EMALFORMED", code)
  end))

  it("are saved soon if the folder was removed", with_net(function(net, folder)
    local state = folder .. "/state"
    local node = open(net, state)
    assert(os.execute("rm -r '" .. state .. "'"))
    net:perform(function()
      assert(node:publish(kad.key("a"), "1"))
    end)
    net:run(2)
    assert.same({ "1" }, after_crash(net, state))
  end))

  it("are saved whole when their journal is long", with_net(function(net,
    folder)
    local node = open(net, folder)
    net:perform(function()
      for _ = 1, 10 do
        assert(node:publish(kad.key("a"), ("1"):rep(900)))
      end
      for i = 1, 1300 do
        node.core:publish({ key = kad.key("a"), type = "value",
          value = ("%d"):format(i):rep(200) }, 1800)
      end
    end)
    net:run(2)
    assert.equal("", core.read_saved(folder .. "/own.journal", 1 << 20))
    assert.equal(1301, #after_crash(net, folder))
  end))

  it("stay saved until policies have their type", with_net(function(net, folder)
    local policies = { { name = "note", types = { note = {} } } }
    local node = open(net, folder, { policies = policies })
    net:perform(function()
      node:publish(kad.key("a"), "1", { type = "note" })
    end)
    assert.same({ "1" }, values_of(node))
    node:close()

    local without = open(net, folder)
    assert.same({}, values_of(without))
    without:close()
    local with = open(net, folder, { policies = policies })
    assert.same({ "1" }, values_of(with))
  end))

  it("are published once a reload brings their type", with_net(function(net,
    folder)
    local path = folder .. "/note.lua"
    local function write(text)
      local file = assert(io.open(path, "wb"))
      file:write(text)
      file:close()
    end
    local with_type = "return { name = 'note', types = { note = {} } }"
    write(with_type)
    local options = { policies = { path } }
    local node = open(net, folder, options)
    net:perform(function()
      node:publish(kad.key("a"), "1", { type = "note" })
    end)
    node:close()

    write("return { name = 'note' }")
    support.logged(function()
      node = open(net, folder, options)
    end)
    assert.same({}, values_of(node))
    write(with_type)
    assert(node:reload())
    assert.same({ "1" }, values_of(node))
  end))

  it("are renamed if the file is corrupt", with_net(function(net, folder)
    local file = assert(io.open(folder .. "/own.state", "wb"))
    file:write("nonsense")
    file:close()

    assert.same({}, values_of(open(net, folder)))
    file = assert(io.open(folder .. "/own.state.corrupt", "rb"))
    assert.equal("nonsense", file:read("a"))
    file:close()
  end))

  it("are handed off by leave, with other records", with_net(function(net,
    folder)
    local node = open(net, folder)
    local key = kad.key("a")
    net:perform(function()
      assert(net.nodes[2]:put(key, "1"))
      kad.sleep(60)
      for i = 3, 4 do
        assert(net.nodes[i]:leave())
        net.nodes[i]:close()
      end
      assert(node:leave(2))
    end)
    assert.has_error(function()
      node:leave(-1)
    end, "seconds must be a positive number")
    node:close()
    assert.equal(8, holders(net, key))
  end))

  it("are bounded", with_net(function(net, folder)
    local node = open(net, folder, { max_publications = 1 })
    net:perform(function()
      assert(node:publish(kad.key("a"), "1"))
      local info, _, code = node:publish(kad.key("b"), "2")
      assert.is_nil(info)
      assert.equal("KAD_EFULL", code)
    end)
  end))

  -- The records that the core lends are copied while no finalizer runs.
  it("are listed whole if a finalizer closes the node", spec(function()
    local net = core.sim({ seed = 1 })
    -- Returns the publications of a node that is closed by a finalizer in the
    -- `cycles`th collection.
    local function list(cycles)
      local port = 5000 + cycles
      local node = assert(net:open_node({}, { "198.51.100.1:" .. port }))
      for i = 1, 1000 do
        local key, value = kad.key("key " .. i), ("v"):rep(900) .. i
        assert(node:publish({ key = key, type = "value", value = value }, 1000))
      end
      local function count_down()
        cycles = cycles - 1
        if cycles < 0 then
          node:close()
        else
          setmetatable({}, { __gc = count_down })
        end
      end
      count_down()
      return node:publications()
    end
    collectgarbage()
    local mode = collectgarbage("generational", 1, 100)
    for cycles = 1, 5 do
      local listed, records = pcall(list, cycles)
      assert.is_true(listed, records)
      assert.equal(1000, #records)
    end
    collectgarbage("generational", 20, 100)
    collectgarbage(mode)
    net:close()
  end))
end)

-- Tests scripts/kadenza/state.lua: folders that another program has touched.

local clock = require("kadenza.clock")
local core = require("kadenza.core")
local kad = require("kadenza")
local saved = require("kadenza.saved")
local support = require("tests.spec.support")

local local_node, with_folder = support.local_node, support.with_folder

local ID <const> = ("x"):rep(20)
local NODE <const> = core.encode({ version = 1, id = ID,
  contacts = { "192.0.2.1:6881" } })

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  file:close()
end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

local function execute(command)
  assert(os.execute(command))
end

-- Runs a shell command in the folder; returns what it prints.
local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

local function record(fields)
  local value = { key = kad.key("a"), type = "value", value = "v" }
  for name, field in pairs(fields or {}) do
    value[name] = field
  end
  return value
end

local function own_bytes(...)
  return core.encode({ version = 1, records = { ... } })
end

local function journal_bytes(folder, ...)
  local path = folder .. "/any.journal"
  local journal = assert(core.open_journal(path, 0))
  for _, one in ipairs({ ... }) do
    assert(journal:append(saved.write_change(one, true,
      { wall = os.time(), boot = 0 })))
  end
  journal:close()
  local bytes = read(path)
  os.remove(path)
  return bytes
end

local function open(folder, more)
  local options = local_node({ state = folder })
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return kad.node(options)
end

-- Opens a node on the folder, which must fail without a change in it. Returns
-- the message and the code.
local function refused(folder, more)
  local list = "cd '" .. folder .. "' && ls -lA --time-style=full-iso"
  local before = output_of(list)
  local node, message, code = open(folder, more)
  assert.is_nil(node)
  assert.equal(before, output_of(list))
  return message, code
end

local function values_of(node)
  local values = {}
  for _, one in ipairs(node:publications()) do
    values[#values + 1] = one.value
  end
  table.sort(values)
  return values
end

-- Wraps the body of a spec that runs in a network and receives a folder.
local function in_folder(body)
  return with_folder(function(folder)
    kad.run(function()
      body(folder)
    end, { timeout = 30 })
  end)
end

-- Runs `fn` with clocks that `set(wall, boot, boot_id)` sets.
local function with_clocks(fn)
  local original = clock.read
  local reading = original
  clock.read = function(network)
    return type(reading) == "table" and reading or reading(network)
  end
  local _ <close> = setmetatable({}, { __close = function()
    clock.read = original
  end })
  fn(function(wall, boot, boot_id)
    reading = { wall = wall, boot = boot, boot_id = boot_id }
  end)
end

describe("a state folder", function()
  it("has one node", in_folder(function(folder)
    local first = assert(open(folder))
    local node, message, code = open(folder)
    assert.is_nil(node)
    assert.matches("process %d+ %(.*%) uses this folder", message)
    assert.equal(1, message:find(folder, 1, true))
    assert.equal("KAD_EBUSY", code)
    first:close()
    assert(open(folder))
  end))

  it("shows no controls of a lock file that was overwritten",
    in_folder(function(folder)
      local first <close> = assert(open(folder))
      for text, user in pairs({
        ["12\n\27[31mred"] = "process 12 uses",
        ["12\nelsewhere\nnode \195\169"] =
          "process 12 on elsewhere %(node %) uses",
        ["x"] = "another process uses",
        [""] = "another process uses",
        [("9"):rep(1000)] = "another process uses",
      }) do
        write(folder .. "/node.lock", text)
        local _, message = open(folder)
        assert.matches(folder .. ": " .. user .. " this folder", message)
      end
      assert.is_true(first:save())
    end))

  it("has a path that can be one", in_folder(function(folder)
    execute("mkfifo " .. folder .. "/fifo && ln -s /nowhere " .. folder
      .. "/link && touch " .. folder .. "/file")
    for _, name in ipairs({ "fifo", "link", "file", "file/below", "link/below",
      ("x"):rep(300) }) do
      local node, message, code = open(folder .. "/" .. name)
      assert.is_nil(node)
      assert.equal(1, message:find(folder, 1, true))
      assert.equal("KAD_ESYSTEM", code)
    end
    for _, path in ipairs({ "", "a\0b", ("x"):rep(5000) }) do
      assert.has_error(function()
        open(path)
      end, "option 'state' must name a folder")
    end
  end))

  it("is free after a node that failed to start", in_folder(function(folder)
    local busy = assert(kad.node(local_node()))
    for _, more in ipairs({
      { listen = busy:addresses() },
      { policies = { function() error("no policy") end } },
      { k = 100000 },
    }) do
      pcall(open, folder, more)
      assert.is_nil(read(folder .. "/node.lock"))
      assert(open(folder)):close()
    end
  end))

  it("is free after a crash, whatever the lock file has",
    in_folder(function(folder)
      for _, text in ipairs({ "", "999999\nkadenza run", "\0\255",
        ("x"):rep(100000) }) do
        write(folder .. "/node.lock", text)
        assert(open(folder)):close()
      end
    end))

  for name, command in pairs({
    ["a folder"] = "mkdir %s",
    ["a FIFO"] = "mkfifo %s",
    ["a link to a device"] = "ln -s /dev/zero %s",
    ["a dangling link"] = "ln -s /nowhere/at/all %s",
    ["a link to itself"] = "ln -s $(basename %s) %s",
  }) do
    for _, file in ipairs({ "node.state", "own.state", "node.lock" }) do
      it(("is refused if %s is %s"):format(file, name),
        in_folder(function(folder)
          local path = folder .. "/" .. file
          execute((command:gsub("%%s", path)))
          local message, code = refused(folder)
          assert.equal(1, message:find(path .. ": ", 1, true))
          assert.equal("KAD_ESYSTEM", code)
        end))
    end
  end

  it("is refused if a file is huge", in_folder(function(folder)
    for _, file in ipairs({ "node.state", "own.state" }) do
      local path = folder .. "/" .. file
      execute("truncate -s 10G " .. path)
      assert.matches("larger than such a file can be", refused(folder))
      os.remove(path)
    end
  end))

  it("is refused if its ids have another width", in_folder(function(folder)
    write(folder .. "/node.state", NODE)
    local message, code = refused(folder, { id_bits = 256 })
    assert.equal(folder .. "/node.state: of a node with ids of 160 bits, not "
      .. "256: use another folder, or id_bits = 160", message)
    assert.equal("KAD_EINVAL", code)
    message = refused(folder, { id_bits = 256, id = ("ab"):rep(32) })
    assert.matches("160 bits, not 256", message)

    write(folder .. "/node.state", core.encode({ version = 1,
      id = ("x"):rep(32), contacts = {} }))
    assert.matches("256 bits, not 160", refused(folder))
    os.remove(folder .. "/node.state")
    write(folder .. "/own.state", own_bytes(record()))
    assert.matches("own%.state: of .* 160 bits, not 256",
      refused(folder, { id_bits = 256 }))
  end))

  it("is refused if a file is of a newer version", in_folder(function(folder)
    for _, file in ipairs({ "node.state", "own.state" }) do
      local path = folder .. "/" .. file
      write(path, core.encode({ version = 2, anything = "at all" }))
      local message, code = refused(folder)
      assert.equal(path .. ": it is of the newer version 2: run a newer "
        .. "kadenza, or use another folder", message)
      assert.equal("KAD_EMALFORMED", code)
      os.remove(path)
    end
  end))

  it("keeps what is valid, sets the rest aside and says both",
    in_folder(function(folder)
      local path = folder .. "/own.state"
      local bytes = own_bytes(
        record({ key = "short" }), record({ value = ("v"):rep(9000) }),
        record({ type = ("t"):rep(40) }), record({ salt = ("s"):rep(65) }),
        record({ publisher = "p" }), record({ signature = "s" }),
        record({ type = "" }), record({ value = 5 }), "no record",
        record({ publisher = ("p"):rep(32), signature = ("s"):rep(64) }),
        record({ value = "one" }), record({ value = "other" }))
      write(path, bytes)
      local node
      local events = support.logged(function()
        node = assert(open(folder))
      end)

      assert.same({ "one", "other" }, values_of(node))
      assert.equal(1, #events)
      assert.equal("warn", events[1].level)
      assert.equal(10, events[1].fields.invalid)
      assert.equal(2, events[1].fields.kept)
      assert.equal(path, events[1].fields.file)
      assert.equal(bytes, read(events[1].fields.aside))
      node:close()
      events = support.logged(function()
        node = assert(open(folder))
      end)
      assert.same({}, events)
      assert.same({ "one", "other" }, values_of(node))
    end))

  it("keeps the id beside contacts that are invalid",
    in_folder(function(folder)
      write(folder .. "/node.state", core.encode({ version = 1, id = ID,
        contacts = { "nonsense", "192.0.2.1:6881" } }))
      local node
      local events = support.logged(function()
        node = assert(open(folder))
      end)
      assert.equal(ID, node:id())
      assert.same({ "192.0.2.1:6881" }, node.saved_contacts)
      assert.equal(1, events[1].fields.invalid)
      assert.equal(1, events[1].fields.kept)
    end))

  it("may have very many contacts", in_folder(function(folder)
    local many = {}
    for i = 1, 6000 do
      many[i] = ("127.%d.%d.%d:1"):format(i // 62500, i // 250 % 250, i % 250)
    end
    write(folder .. "/node.state", core.encode({ version = 1, id = ID,
      contacts = many }))
    local node = assert(open(folder, { query_ms = 50 }))
    assert.equal(ID, node:id())
    local _, _, code = node:bootstrap()
    assert.equal("KAD_ENOCONTACTS", code)
  end))

  it("keeps eight corrupt files, the newest first", in_folder(function(folder)
    local path = folder .. "/node.state"
    support.logged(function()
      for i = 1, 12 do
        write(path, "corrupt " .. i)
        assert(open(folder)):close()
      end
    end)
    assert.equal("corrupt 12", read(path .. ".corrupt"))
    for i = 2, 8 do
      assert.equal("corrupt " .. 13 - i, read(path .. ".corrupt." .. i))
    end
    assert.is_nil(read(path .. ".corrupt.9"))
  end))

  it("is refused if a corrupt file cannot be set aside",
    in_folder(function(folder)
      local path = folder .. "/node.state"
      write(path, "corrupt")
      execute(("mkdir -p %s.corrupt/in"):format(path))
      for i = 2, 8 do
        execute(("mkdir -p %s.corrupt.%d/in"):format(path, i))
      end
      local message = refused(folder)
      assert.equal(("%s.corrupt: rename to %s.corrupt.2: Directory not empty")
        :format(path, path), message)
      assert.equal("corrupt", read(path))
    end))

  it("is made again if it is removed while the node runs",
    in_folder(function(folder)
      local path = folder .. "/state"
      write(folder .. "/keep", "")
      local node = assert(open(path))
      node:publish(kad.key("a"), "v")
      assert(node:save())
      execute("rm -r " .. path)
      assert(node:save())
      assert.is_string(read(path .. "/node.state"))
      assert.is_string(read(path .. "/own.state"))
      local other, message = open(path)
      assert.is_nil(other)
      assert.matches("uses this folder", message)
    end))

  it("stays locked if the lock file is removed while the node runs",
    in_folder(function(folder)
      local node = assert(open(folder))
      os.remove(folder .. "/node.lock")
      assert(node:save())
      local other, message = open(folder)
      assert.is_nil(other)
      assert.matches("uses this folder", message)
    end))

  it("is not written if it was replaced by that of another node",
    in_folder(function(folder)
      local path = folder .. "/state"
      local node = assert(open(path))
      execute(("mv %s %s.old && mkdir %s"):format(path, path, path))
      write(path .. "/node.state", NODE)
      local done, message, code = node:save()
      assert.is_nil(done)
      assert.matches("replaced while the node runs", message)
      assert.equal("KAD_EBUSY", code)
      assert.equal(NODE, read(path .. "/node.state"))

      execute(("rm -r %s && mv %s.old %s"):format(path, path, path))
      assert(node:save())
      assert.equal(node:id(), core.decode(read(path .. "/node.state")).id)
    end))

  it("is saved again once it can be written", in_folder(function(folder)
    local path = folder .. "/state"
    local node = assert(open(path))
    execute(("rm -r %s && touch %s"):format(path, path))
    local events = support.logged(function()
      local done, message, code = node:save()
      assert.is_nil(done)
      assert.equal(1, message:find(path, 1, true))
      assert.equal("KAD_ESYSTEM", code)
    end)
    assert.same({}, events)
    os.remove(path)
    assert(node:save())
    assert.is_string(read(path .. "/node.state"))
  end))

  it("is tried again with each save", with_folder(function(folder)
    local path = folder .. "/state"
    local net <close> = kad.sim({ nodes = 1, seed = 1 })
    local events = support.logged(function()
      assert(net:open({ state = path }))
      execute(("rm -r %s && touch %s"):format(path, path))
      net:run(700)
      os.remove(path)
      net:run(700)
    end)
    local texts = {}
    for i, event in ipairs(events) do
      texts[i] = event.level .. " " .. event.message
    end
    assert.same({ "error the state could not be saved",
      "error the state could not be saved", "info the state is saved again",
    }, texts)
    assert.is_string(read(path .. "/node.state"))
  end))

  it("keeps the lives of records although the wall clock is wrong",
    in_folder(function(folder)
      with_clocks(function(set)
        local function ttl_after(wall, boot, boot_id)
          set(wall, boot, boot_id)
          local node <close> = assert(open(folder))
          local publication = node:publications()[1]
          return publication and publication.ttl
        end
        local now = 1796000000
        set(now, 1000, "a")
        do
          local node <close> = assert(open(folder))
          node:publish(kad.key("a"), "v", { ttl = 3600 })
        end
        assert.equal(3590, ttl_after(0, 1010, "a")) -- no clock at boot
        assert.equal(3580, ttl_after(now + 36000, 1020, "a")) -- set by hours
        assert.equal(3570, ttl_after(now - 36000, 1030, "a"))
        assert.equal(3560, ttl_after(0, 10, "b")) -- a restart of the machine
        assert.equal(3550, ttl_after(now, 10, "c"))
        assert.equal(3450, ttl_after(now + 100, 10, "d"))
        assert.is_nil(ttl_after(now + 3600, 10, "e"))
      end)
    end))

  it("is saved again when the wall clock is set", in_folder(function(folder)
    with_clocks(function(set)
      local now = 1796000000
      set(now - 18000, 1000, "a")
      local node = assert(open(folder))
      node:publish(kad.key("a"), "v", { ttl = 3600 })
      assert(node:save())
      local before = read(folder .. "/own.state")
      set(now - 18000 + 60, 1060, "a")
      assert(node:save())
      assert.equal(before, read(folder .. "/own.state"))
      set(now, 1070, "a")
      assert(node:save())
      assert.equal(now, core.decode(read(folder .. "/own.state")).time)
    end)
  end))

  it("does not prolong records that wait for their policy",
    support.with_folder(function(folder)
      local net <close> = kad.sim({ nodes = 1, seed = 1 })
      write(folder .. "/own.state", core.encode({ version = 1, boot = 0,
        time = net.network:time(), records = {
          record({ type = "note", rest = 700 }),
        } }))
      support.logged(function()
        local node = assert(net:open({ state = folder }))
        for i = 1, 3 do
          net:run(100)
          net:perform(function()
            node:publish(kad.key("b"), tostring(i), { ttl = 10 })
          end)
          assert(node:save())
        end
        local records = core.decode(read(folder .. "/own.state")).records
        local found
        for _, one in ipairs(records) do
          found = one.type == "note" and one.rest or found
        end
        assert.is_true(found <= 400 and found > 380)
        net:run(500)
        node:close()
      end)
      local kept = saved.read_publications(read(folder .. "/own.state"), 0,
        clock.read(net.network))
      assert.same({}, kept.records)
    end))

  it("starts or fails in order with any bytes in its files",
    in_folder(function(folder)
      local seed = 7
      local function below(n)
        seed = seed * 6364136223846793005 + 1442695040888963407
        return (seed >> 33) % n
      end
      local files = {
        ["node.state"] = NODE,
        ["own.state"] = own_bytes(record({ ends = os.time() + 5000 }),
          record({ value = "w", rest = 100, salt = "s", seq = 1 })),
        ["own.journal"] = journal_bytes(folder, record({ ttl = 100 })),
      }
      support.logged(function()
        for _ = 1, 150 do
          for name, bytes in pairs(files) do
            for _ = 0, below(3) do
              local at = below(#bytes) + 1
              bytes = bytes:sub(1, at - 1) .. string.char(below(256))
                .. bytes:sub(at + 1)
            end
            write(folder .. "/" .. name, bytes)
          end
          local node, message = open(folder)
          assert.is_true(node ~= nil or type(message) == "string")
          if node then
            node:close()
          end
        end
      end)
    end))
end)

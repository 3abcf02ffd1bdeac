-- Tests scripts/examples/store/sqlite_store.lua,
-- scripts/examples/store/sqlite.lua.

local conformance = require("kadenza.store.conformance")
local kad = require("kadenza")
local process = require("support.process")
local support = require("tests.spec.support")

local FOLDER <const> = "scripts/examples/store"

package.path = FOLDER .. "/?.lua;" .. package.path
local sqlite_store = require("sqlite_store")

describe("the store in an SQLite database", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function path()
    return folder .. "/records.db"
  end

  local factory = {
    open = function()
      for _, ending in ipairs({ "", "-wal", "-shm" }) do
        os.remove(path() .. ending)
      end
      return assert(sqlite_store.open(path()))
    end,
    reopen = function()
      return assert(sqlite_store.open(path()))
    end,
  }
  for _, case in ipairs(conformance.cases(factory)) do
    it(case.name, support.spec(case.run))
  end

  it("does not open a file of another kind", function()
    local file <close> = assert(io.open(path(), "wb"))
    file:write(("no database"):rep(100))
    file:close()
    local store, message = sqlite_store.open(path())
    assert.is_nil(store)
    assert.matches("records.db: ", message, 1, true)
  end)

  it("does not open a database of a newer version", function()
    local store = assert(sqlite_store.open(path()))
    assert(store.connection:execute("PRAGMA user_version = 2"))
    store:close()
    local opened, message = sqlite_store.open(path())
    assert.is_nil(opened)
    assert.matches("it has version 2", message, 1, true)
  end)

  it("fails, and the node goes on, while another process locks it",
    support.spec(function()
      local store = assert(sqlite_store.open(path()))
      local other = assert(sqlite_store.open(path()))
      local net <close> = kad.sim({ seed = 1 })
      local log = require("kadenza.log")
      local before <const> = log.configure({ level = "off" })
      local _ <close> = setmetatable({}, { __close = function()
        log.restore(before)
      end })
      net:perform(function()
        local holder = assert(kad.node({ listen = "20.0.0.1:1",
          store = store }))
        local client = assert(kad.node({ listen = "20.0.1.1:1",
          read_only = true }))
        assert(client:bootstrap("20.0.0.1:1"))
        assert(other.connection:execute("BEGIN IMMEDIATE"))
        assert.is_nil((client:put(kad.key("a"), "a value, to be refused")))
        assert(other.connection:execute("COMMIT"))
        assert(client:put(kad.key("a"), "a value, to be stored"))
        assert.equal("a value, to be stored", client:get(kad.key("a")))
        assert.is_true(holder:stats().store_failures > 0)
      end)
      other:close()
    end))

  it("keeps the records of a node that is killed", function()
    local function start()
      local node = process.start({ FOLDER .. "/sqlite.lua", path(),
        "127.0.0.1:0" }, { path = os.getenv("LUA") or "lua5.4" })
      node:wait_for("records", "stdout")
      return node, node.stdout:match("listening on (%S+) with (%d+) records")
    end
    local node, address, count = start()
    assert.equal("0", count)
    kad.run(function()
      local client = assert(kad.node({ listen = "127.0.0.1:0",
        allow_local = true, read_only = true }))
      assert(client:bootstrap(address))
      for i = 1, 20 do
        assert(client:put(kad.key("key " .. i), "value " .. i))
      end
    end)
    node:kill("sigkill")
    node:wait()
    node, address, count = start()
    assert.equal("20", count)
    kad.run(function()
      local client = assert(kad.node({ listen = "127.0.0.1:0",
        allow_local = true, read_only = true }))
      assert(client:bootstrap(address))
      for i = 1, 20 do
        assert.equal("value " .. i, client:get(kad.key("key " .. i)))
      end
    end)
    node:kill("sigkill")
    node:wait()
  end)
end)

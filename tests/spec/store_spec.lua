-- Record stores of programs. Tests bindings/lua/store.c.

local kad = require("kadenza")
local stores = require("support.store")
local support = require("tests.spec.support")

local logged_by = stores.logged_by
local messages_with = stores.messages_with
local new_store = stores.new
local with_holder = stores.with_holder
local spec = support.spec
local assert_blames_caller = support.assert_blames_caller

local LISTEN <const> = "20.0.0.1:6881"
local LONG <const> = "a value of more than 18 bytes"

local KEY <const> = kad.key("a")

----------------------------------------------------------------- options --

describe("the option store", function()
  it("must be a store", spec(function()
    local wrong = {
      [5] = "must be a table or userdata, not number",
      [{}] = "needs a method 'put'",
      [new_store({}, { get = false })] = "needs a method 'get'",
      [new_store({}, { remove = 7 })] = "needs a method 'remove'",
      [new_store({}, { each = {} })] = "'each' must be a function, not table",
    }
    for store, message in pairs(wrong) do
      assert_blames_caller(message, function()
        kad.node({ store = store })
      end)
    end
  end))

  it("may be an object of a class", spec(function()
    local Store = new_store({})
    Store.__index = Store
    with_holder(setmetatable({}, Store), function(holder, client)
      assert(client:put(KEY, LONG))
      assert.equal(LONG, client:get(KEY))
      assert.equal(LONG, holder:held(KEY)[1].value)
    end)
  end))
end)

---------------------------------------------------------------- failures --

-- Ways to fail, and the message of each.
local FAILURES <const> = {
  { "raises an error", function()
    error("the disk is full", 0)
  end, "the disk is full" },
  { "raises a table", function()
    error(setmetatable({}, { __tostring = function()
      return "a table"
    end }))
  end, "a table" },
  { "raises nil", function()
    error(nil)
  end, "nil" },
  { "raises an error in __tostring", function()
    error(setmetatable({}, { __tostring = function()
      error("again")
    end }))
  end, "" },
  { "returns false", function()
    return false
  end, "it returned false" },
  { "returns nil and a message", function()
    return nil, "no connection"
  end, "no connection" },
  { "yields", function()
    coroutine.yield()
  end, "outside a coroutine" },
  { "waits", function()
    kad.sleep(1)
  end, "" },
  { "needs too much stack", function(...)
    local function deeper(...)
      return deeper(...) + 1
    end
    return deeper(...)
  end, "stack overflow" },
}

describe("a store that fails", function()
  for _, failure in ipairs(FAILURES) do
    local how, fail, message = table.unpack(failure)

    it("to put because it " .. how .. " rejects the record", spec(function()
      local messages = messages_with({ put = fail }, function(holder, client)
        local stored, _, code, details = client:put(KEY, LONG)
        assert.is_nil(stored)
        assert.equal("KAD_EREMOTE", code)
        assert.equal(202, details.krpc)
        local stats = holder:stats()
        assert.equal(0, stats.records)
        assert.is_true(stats.store_failures > 0)
        assert(client:ping(LISTEN))
      end)
      if message ~= "" then
        assert.matches("the record store failed: put: .*" .. message,
          messages[1])
      end
    end))

    it("to get because it " .. how .. " leaves the record out", spec(function()
      local records = {}
      messages_with({
        put = function(_, number, record)
          records[number] = record
        end,
        get = function(...)
          if records.works then
            return records[select(2, ...)]
          end
          return fail(...)
        end,
      }, function(holder, client)
        assert(client:put(KEY, LONG))
        assert(client:put(kad.key("b"), "b")) -- a new record is not got
        assert.is_nil(client:get(KEY))
        assert.is_true(holder:stats().store_failures > 0)
        assert.equal(2, holder:stats().records)
        records.works = true
        assert.equal(LONG, client:get(KEY))
      end)
    end))

    it("to remove because it " .. how .. " tries again", spec(function()
      local records = {}
      local works
      messages_with({
        put = function(_, number, record)
          records[number] = record
        end,
        get = function(_, number)
          return records[number]
        end,
        remove = function(...)
          if not works then
            return fail(...)
          end
          records[select(2, ...)] = nil
        end,
      }, function(holder, client)
        assert(client:put(KEY, LONG, { ttl = 10 }))
        kad.sleep(20)
        assert.equal(0, holder:stats().records)
        assert.is_not_nil(next(records))
        works = true
        assert(client:put(kad.key("b"), "b"))
        assert.is_nil(records[1])
      end)
    end))

    it("to close because it " .. how .. " is closed once", spec(function()
      local calls = 0
      messages_with({ close = function(...)
        calls = calls + 1
        return fail(...)
      end }, function(holder)
        holder:close()
      end)
      assert.equal(1, calls)
    end))
  end

  local WRONG <const> = {
    ["a number"] = 5,
    ["a string"] = "value",
    ["true"] = true,
    ["a function"] = print,
    ["an empty table"] = {},
    ["a value of a wrong type"] = { value = 5 },
    ["a value that is too long"] = { value = ("x"):rep(8193) },
    ["another value"] = { value = LONG .. "!" },
    ["another type"] = { type = "other" },
    ["a type of a wrong type"] = { type = {} },
    ["another key"] = { key = kad.key("b") },
    ["a key of the wrong length"] = { key = "short" },
    ["a publisher of the wrong length"] = { publisher = "short" },
    ["a publisher"] = { publisher = ("p"):rep(32) },
    ["a sequence number that is a fraction"] = { seq = 1.5 },
    ["a salt that is too long"] = { salt = ("s"):rep(65) },
    ["metamethods that raise errors"] = setmetatable({}, { __index = function()
      error("no")
    end }),
  }

  for what, wrong in pairs(WRONG) do
    it("because it returns " .. what .. " leaves the record out",
      spec(function()
        local kept
        local messages = messages_with({
          put = function(_, number, record)
            kept = number == 1 and record or kept
          end,
          get = function()
            if type(wrong) ~= "table" or not next(wrong) then
              return wrong
            end
            local record = {}
            for _, fields in ipairs({ kept, wrong }) do
              for name, value in next, fields do
                record[name] = value
              end
            end
            return record
          end,
        }, function(holder, client)
          assert(client:put(KEY, LONG))
          assert(client:put(kad.key("b"), "b"))
          assert.is_nil(client:get(KEY))
          assert.equal(2, holder:stats().records)
          assert(client:ping(LISTEN))
        end)
        assert.matches("the record store failed: get: ", messages[1], 1, true)
      end))
  end

  it("because a record is lost forgets it", spec(function()
    local messages = messages_with({ get = function() end },
      function(holder, client)
        assert(client:put(KEY, LONG))
        assert(client:put(kad.key("b"), "b"))
        assert.is_nil(client:get(KEY))
        assert.equal(2, holder:stats().records)
        assert(client:put(kad.key("c"), "c"))
        assert.equal(2, holder:stats().records)
      end)
    assert.matches("get: the record is lost", messages[1], 1, true)
  end))

  it("is logged every ten seconds at most", spec(function()
    local messages = messages_with({ put = function()
      return false
    end }, function(holder, client)
      for i = 1, 50 do
        client:put(kad.key("key " .. i), LONG)
      end
      assert.is_true(holder:stats().store_failures >= 50)
    end)
    assert.is_true(#messages < 10)
  end))
end)

-------------------------------------------------------------- calls back --

describe("a store that uses its node", function()
  local USES <const> = {
    id = function(node)
      node:id()
    end,
    held = function(node)
      node:held(KEY)
    end,
    put = function(node)
      node:put(KEY, "v")
    end,
    stats = function(node)
      node:stats()
    end,
    configure = function(node)
      node:configure({ max_records = 1 })
    end,
    close = function(node)
      node:close()
    end,
    ["close of the network"] = function(node)
      node:network():close()
    end,
    ["run of the network"] = function(node)
      node:network():run(1)
    end,
    ["step of the network"] = function(node)
      node:network():step()
    end,
    ["kill in the simulation"] = function(node)
      node:network():kill(node.core)
    end,
  }

  for name, use in pairs(USES) do
    for _, method in ipairs({ "put", "get", "remove", "touch" }) do
      it(("by %s in %s gets an error"):format(name, method), spec(function()
        local records, node = {}, nil
        local calls, refused = 0, 0
        local broken = {
          put = function(_, number, record)
            records[number] = record
          end,
          get = function(_, number)
            return records[number]
          end,
          touch = function() end,
        }
        local inner = broken[method] or function() end
        broken[method] = function(...)
          calls = calls + 1
          local succeeded = pcall(use, node)
          refused = refused + (succeeded and 0 or 1)
          return inner(...)
        end
        messages_with(broken, function(holder, client)
          node = holder
          assert(client:put(KEY, LONG, { ttl = 60 }))
          assert(client:put(KEY, LONG, { ttl = 60 }))
          assert.equal(LONG, client:get(KEY))
          assert.equal(1, #holder:held(KEY))
          kad.sleep(70)
          assert.equal(0, holder:stats().records)
          assert.is_true(holder:is_open())
        end)
        assert.is_true(calls > 0)
        assert.equal(calls, refused)
      end))
    end
  end

  it("through a finalizer does not close it", spec(function()
    local node
    local records = {}
    messages_with({ put = function(_, number, record)
      setmetatable({}, { __gc = function()
        pcall(node.close, node)
        pcall(node:network().close, node:network())
      end })
      collectgarbage()
      records[number] = record
    end, get = function(_, number)
      collectgarbage()
      return records[number]
    end }, function(holder, client)
      node = holder
      assert(client:put(KEY, LONG))
      assert.equal(LONG, client:get(KEY))
      assert.equal(1, #holder:held(KEY))
      assert.is_true(holder:is_open())
    end)
  end))

  it("may use other nodes", spec(function()
    local other
    messages_with({ put = function()
      assert(other:id())
    end }, function(holder, client)
      other = client
      assert(client:put(KEY, LONG))
      assert.equal(0, holder:stats().store_failures)
    end)
  end))
end)

----------------------------------------------------------------- opening --

describe("a node that opens with a store", function()
  local function open(store, more)
    local options = { listen = LISTEN, store = store }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    return kad.node(options)
  end

  local function in_simulation(fn)
    return spec(function()
      local net <close> = kad.sim({ seed = 1 })
      net:perform(fn)
    end)
  end

  it("does not open if the records cannot be read", in_simulation(function()
    local store = new_store({}, { each = function()
      error("the table is damaged", 0)
    end })
    local node, message, code = open(store)
    assert.is_nil(node)
    assert.equal(LISTEN .. ": the record store could not be read: the table is "
      .. "damaged", message)
    assert.equal("KAD_ESYSTEM", code)
    assert.equal(0, store.closed)
  end))

  it("does not open if `each` returns no iterator", in_simulation(function()
    local node, message = open(new_store({}, { each = function()
      return 5
    end }))
    assert.is_nil(node)
    assert.matches("attempt to call a number value", message, 1, true)
  end))

  it("does not close the store if it cannot open", in_simulation(function()
    local store = new_store({})
    assert(open(new_store({})))
    local node, _, code = open(store)
    assert.is_nil(node)
    assert.equal("KAD_EADDRINUSE", code)
    collectgarbage()
    assert.equal(0, store.closed)
    assert(open(store, { listen = "20.0.0.2:6881" })):close()
    assert.equal(1, store.closed)
  end))

  it("leaves out invalid records and logs them", in_simulation(function()
    local now = kad.time()
    local function record(more)
      local made = { key = KEY, type = "value", value = "v", stored_at = now,
        expires_at = now + 60 }
      for name, value in pairs(more or {}) do
        made[name] = value
      end
      return made
    end
    local records = {
      record(), 7, "text", {}, record({ key = "short" }),
      record({ stored_at = "now" }), record({ expires_at = 0 / 0 }),
      record({ expires_at = now - 10, stored_at = now }),
      record({ origin = "nowhere" }), record({ type = "" }),
      record({ value = ("x"):rep(8193) }), record({ seed = 1 }),
    }
    records[0], records[-1], records[1.5], records[(1 << 53) + 1] =
      record(), record(), record(), record()
    records.name = record()
    local events = logged_by(function()
      local node = assert(open(new_store(records)))
      assert.equal(1, node:stats().records)
    end)
    assert.equal(1, #events)
    assert.equal("records of the store are invalid and were left out",
      events[1].message)
    assert.equal(16, events[1].fields.invalid)
  end))

  it("drops what has expired meanwhile", in_simulation(function()
    local now = kad.time()
    local records = { { key = KEY, type = "value", value = "v",
      stored_at = now - 100, expires_at = now - 10 } }
    local node = assert(open(new_store(records)))
    kad.sleep(2)
    assert.equal(0, node:stats().records)
    assert.is_nil(records[1])
  end))

  it("keeps the times of records", in_simulation(function()
    local records = {}
    local node = assert(open(new_store(records)))
    assert(node:put(KEY, LONG, { ttl = 1000 }))
    local kept = records[1]
    assert.near(kad.time() + 1000, kept.expires_at, 1.5)
    assert.is_true(kept.republish_at > kad.time())
    assert.is_nil(kept.origin)
    node:close()
    kad.sleep(400)
    node = assert(open(new_store(records)))
    local held = node:held(KEY)[1]
    assert.near(600, held.ttl, 2)
    assert.near(400, held.age, 2)
  end))

  it("returns the newest first", in_simulation(function()
    local now = kad.time()
    local records = {}
    for i, age in ipairs({ 30, 10, 40, 20 }) do
      records[i] = { key = KEY, type = "value", value = "age " .. age,
        stored_at = now - age, expires_at = now + 60 }
    end
    local values = {}
    for i, record in ipairs(assert(open(new_store(records))):held(KEY)) do
      values[i] = record.value
    end
    assert.same({ "age 10", "age 20", "age 30", "age 40" }, values)
  end))

  it("cannot be closed by `each`", in_simulation(function()
    local network = kad.node({ listen = "20.0.3.1:1" }):network()
    local refused
    assert(open(new_store({}, { each = function()
      refused = not pcall(network.close, network)
      return next, {}
    end })))
    assert.is_true(refused)
  end))
end)

describe("the store of a node that ends", function()
  it("is closed once", spec(function()
    local store = new_store({})
    with_holder(store, function(holder)
      holder:close()
      holder:close()
      kad.sleep(1)
      assert.equal(1, store.closed)
    end)
    assert.equal(1, store.closed)
  end))

  it("is closed with the network", spec(function()
    local store = new_store({})
    with_holder(store, function() end)
    assert.equal(1, store.closed)
  end))

  it("is closed with a node that crashes", spec(function()
    local store = new_store({})
    local net <close> = kad.sim({ seed = 1 })
    net:perform(function()
      net:kill(assert(net:open({ listen = LISTEN, store = store })))
    end)
    assert.equal(1, store.closed)
  end))

  it("is closed by the collector", spec(function()
    local store = new_store({})
    do
      local core = require("kadenza.core")
      local network = assert(core.sim({}))
      local adapter = require("kadenza.store").adapt(store, network)
      adapter.cycle = assert(network:open_node({}, { LISTEN }, nil, adapter))
    end
    collectgarbage()
    collectgarbage()
    assert.equal(1, store.closed)
  end))

  it("is closed when its node closes in a hook", spec(function()
    local store = new_store({})
    with_holder(store, function(holder, client)
      local network = holder:network()
      network:start_timer(10, function()
        holder:close()
      end)
      client:put(KEY, LONG)
      kad.sleep(1)
      assert.equal(1, store.closed)
    end)
  end))

  it("may be used by the next node", spec(function()
    local records = {}
    local net <close> = kad.sim({ seed = 1 })
    net:perform(function()
      for i = 1, 3 do
        local node = assert(kad.node({ listen = LISTEN,
          store = new_store(records) }))
        assert(node:put(kad.key("key " .. i), LONG))
        assert.equal(i, node:stats().records)
        node:close()
      end
    end)
  end))
end)

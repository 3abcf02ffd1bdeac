--- Record stores in tables, for specs.

local kad = require("kadenza")
local log = require("kadenza.log")

local M = {}

--- The address of the node that has the store.
M.LISTEN = "20.0.0.1:6881"

--- Makes a store in the table `records`, whose methods `broken` replaces; false
--- removes one.
function M.new(records, broken)
  local store = { closed = 0 }
  function store.put(_, number, record)
    records[number] = record
    return true
  end
  function store.get(_, number)
    return records[number]
  end
  function store.remove(_, number)
    records[number] = nil
    return true
  end
  function store.each()
    return pairs(records)
  end
  function store:close()
    self.closed = self.closed + 1
  end
  for name, method in pairs(broken or {}) do
    store[name] = method or nil
  end
  return store
end

--- Returns the events that are logged while `fn` runs.
function M.logged_by(fn)
  local events = {}
  local before <const> = log.configure({ level = "warn", sink = function(event)
    events[#events + 1] = event
  end })
  local _ <close> = setmetatable({}, { __close = function()
    log.restore(before)
  end })
  fn()
  return events
end

--- Runs `fn(holder, client)` as a task: `holder` has the store.
function M.with_holder(store, fn)
  local net <close> = kad.sim({ seed = 1 })
  net:perform(function()
    local holder = assert(kad.node({ listen = M.LISTEN, store = store }))
    local client = assert(kad.node({ listen = "20.0.1.1:6881",
      read_only = true }))
    assert(client:bootstrap(M.LISTEN))
    fn(holder, client)
  end)
end

--- Runs `fn(holder, client, store)` with a store whose methods are
--- `broken`, and returns the messages that were logged.
function M.messages_with(broken, fn)
  local store = M.new({}, broken)
  local messages = {}
  local events = M.logged_by(function()
    M.with_holder(store, function(holder, client)
      fn(holder, client, store)
    end)
  end)
  for i, event in ipairs(events) do
    messages[i] = ("%s: %s: %s"):format(event.message,
      event.fields.call or "", event.fields.error or "")
  end
  return messages, store
end

return M

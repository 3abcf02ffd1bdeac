--- Record stores in tables, for specs.

local log = require("kadenza.log")

local M = {}

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

return M

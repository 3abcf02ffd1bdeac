-- The store of an example: its records are in tables by the names of files.

local M = {}

local files = {}

function M.open(path)
  local records = files[path]
  local store = {}
  function store.put(_, number, record)
    records[number] = record
  end
  function store.get(_, number)
    return records[number]
  end
  function store.remove(_, number)
    records[number] = nil
  end
  function store.each()
    return pairs(records)
  end
  return store
end

function M.create(path)
  files[path] = {}
  return M.open(path)
end

return M

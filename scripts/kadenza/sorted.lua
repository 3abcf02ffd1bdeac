--- Keys in order. Tested by tests/spec/suggest_spec.lua.

--- Returns the keys of a table in ascending order, so that a loop over them has
--- the same order every time. `__pairs` of the table is not called.
---@generic K
---@param map table<K, any>  whose keys can be compared
---@return K[] keys
return function(map)
  local keys = {}
  for key in next, map do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

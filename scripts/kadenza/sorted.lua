--- Walking a table in the same order every time.

--- Returns the keys of a table, which can be compared, in their order.
---@generic K
---@param map table<K, any>
---@return K[] keys
return function(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

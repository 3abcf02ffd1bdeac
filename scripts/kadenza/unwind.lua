--- The end of several things. Tested by tests/spec/node_closing_spec.lua.

--- Empties a list, the last item first, and calls `fn` with each item. An error
--- of `fn` does not stop this; the first one is raised at the end.
---@param list any[]
---@param fn fun(item: any)
return function(list, fn)
  local failure
  while #list > 0 do
    local succeeded, err = pcall(fn, table.remove(list))
    if not succeeded then
      failure = failure or { value = err }
    end
  end
  if failure then
    error(failure.value, 0)
  end
end

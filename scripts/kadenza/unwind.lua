--- Does all that a list has collected for the end, whatever fails on the way.

--- Empties a list, the last item first, and calls `fn` with every item. Raises
--- the first error when it is through.
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

--- How large values and queries can be, in the messages of those that are too
--- large. Tested by tests/spec/operation_spec.lua and
--- tests/spec/operation_query_spec.lua.

local core = require("kadenza.core")
local value_size = require("kadenza.value_size")

local M = {}

--- Bytes of a value at most, and of the value of an item: see
--- `kadenza.value_size`.
M.VALUE, M.ITEM = value_size.VALUE, value_size.ITEM

--- Returns the message of a query that failed, with the limit if it is too
--- large.
---@param node kadenza.Node
---@param args? table
---@param message string
---@param code kadenza.Code
---@return string message
function M.of_query(node, args, message, code)
  if code ~= "KAD_ETOOBIG" then
    return message
  end
  return string.format("%s: the arguments have %d bytes, and the whole query "
    .. "can have %d (max_reply)", message, #core.encode(args or {}),
    node.core:message_room())
end

--- Makes a start of `task.wait` add the limit to the failure of a value that is
--- too large.
---@param start fun(done: fun(...)): fun()?
---@param node kadenza.Node
---@param value string
---@return fun(done: fun(...)): fun()? start
function M.of_value(start, node, value)
  local room = node:is_open() and node.core:value_room() or M.ITEM
  return function(done)
    return start(function(result, message, code, details)
      if code == "KAD_ETOOBIG" then
        message = string.format("%s: the value has %d bytes, and can have %d, "
          .. "or the max_size of its type if that is less", message, #value,
          room)
      end
      return done(result, message, code, details)
    end)
  end
end

return M

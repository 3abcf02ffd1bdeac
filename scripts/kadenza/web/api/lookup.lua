--- `/v1/lookup/{target}`: finds the nodes closest to an id.
--- Tested by tests/spec/web/api/lookup_spec.lua.

local answer = require("kadenza.web.api.answer")
local core = require("kadenza.core")
local json = require("kadenza.json")
local parameters = require("kadenza.web.api.parameters")
local reply = require("kadenza.web.api.reply")

local M = {}

local ORDER <const> = { "target", "contacts", "id", "address", "hops",
  "messages" }

local function look_up(node, target)
  local contacts, info, code, details = node:find_node(target)
  if not contacts then
    return nil, info, code, details
  end
  local rows = {}
  for i, contact in ipairs(contacts) do
    rows[i] = { id = core.hex(contact.id), address = contact.address }
  end
  return {
    document = { target = core.hex(target), contacts = json.array(rows),
      hops = info.hops, messages = info.messages },
    life = answer.FRESH_SECONDS,
    bytes = 500 + 400 * #rows,
  }
end

--- Finds the closest nodes.
---@async
---@param api kadenza.web.Api
---@param request table
---@return table response
function M.get(api, request)
  local node, closed, why = api.gateway:node()
  if not node then
    return reply.failure(closed, why)
  end
  local target, problem = parameters.key(request.params.target, node:id_bits())
  local options, fault, status = parameters.query(request.query, {})
  if not target or not options then
    return reply.malformed(problem or fault, not problem and status or nil)
  end
  local found, message, code, details = api.gateway:fetch(
    "lookup " .. target, function(opened)
      return look_up(opened, target)
    end, answer.wants_fresh(request))
  if not found then
    return reply.failure(message, code, details)
  end
  return answer.document(found, ORDER)
end

return M

--- The trace of a lookup as a document: every query of it, who named its
--- contact, when it was sent, and what came of it.
--- Tested by tests/spec/cli/lookup_trace_spec.lua.

local core = require("kadenza.core")
local json = require("kadenza.json")
local kad = require("kadenza")

local M = {}

--- The order of the fields of a document.
M.ORDER = { "target", "hops", "messages", "took", "error", "contacts", "steps",
  "number", "id", "address", "named_by", "path", "hop", "asked", "answered",
  "rtt", "bits", "closest", "had_value" }

-- Returns the number of the step whose contact has named that of a step: the
-- last one before it with that address. nil: the contact was in the table.
local function named_by(path, number)
  local address = path[number].heard_from
  for i = address and number - 1 or 0, 1, -1 do
    if path[i].address == address then
      return i
    end
  end
  return nil
end

local function round(seconds)
  return tonumber(("%.3f"):format(seconds))
end

--- Returns the trace of a lookup.
---@param target string
---@param contacts kadenza.Contact[]  the closest ones
---@param info kadenza.Info
---@return table document  `named_by` of a step is the number of the step whose
---  contact named that of this one; `bits` is how many leading bits its id
---  shares with the target; times are in seconds from the start of the lookup
function M.document(target, contacts, info)
  local closest, found, steps = {}, {}, {}
  for i, contact in ipairs(contacts) do
    closest[contact.address] = true
    found[i] = { id = kad.hex(contact.id), address = contact.address }
  end
  for i, step in ipairs(info.path) do
    local _, bits = core.distance(target, step.id)
    steps[i] = { number = i, id = kad.hex(step.id), address = step.address,
      named_by = named_by(info.path, i), path = step.path, hop = step.hop,
      asked = round(step.asked), answered = step.answered,
      rtt = step.rtt and round(step.rtt), bits = bits,
      closest = closest[step.address] or false,
      had_value = step.had_value or nil }
  end
  return { target = kad.hex(target), contacts = json.array(found),
    hops = info.hops, messages = info.messages, took = round(info.took),
    steps = json.array(steps) }
end

--- Looks up a target for a console, and returns the trace. A lookup that fails
--- has a trace, too.
---@async
---@param node kadenza.Node
---@param request { target?: any }  in hexadecimal
---@return table? document
---@return string[]|string order  of fields; or a message
---@return string? code
function M.look_up(node, request)
  local digits = node:id_bits() // 4
  local target = type(request.target) == "string"
    and #request.target == digits and kad.unhex(request.target)
  if not target then
    return nil, ("the target must have %d hexadecimal digits"):format(digits),
      "KAD_EINVAL"
  end
  local contacts, info, code = node:find_node(target)
  if not contacts then
    return nil, info, code
  end
  return M.document(target, contacts, info), M.ORDER
end

return M

--- `/v1/queries/{method}`: sends a custom query to one node, or to the nodes on
--- the way to a key.
--- Tested by tests/spec/web/api/query_spec.lua.

local core = require("kadenza.core")
local input = require("kadenza.cli.input")
local json = require("kadenza.json")
local json_reader = require("kadenza.json_reader")
local parameters = require("kadenza.web.api.parameters")
local queries = require("kadenza.queries")
local reply = require("kadenza.web.api.reply")

local M = {}

local MAX_ADDRESS <const> = 300
local MAX_KEY <const> = 300
local MAX_ARGUMENTS <const> = 1400 -- bytes; a datagram has less

local ORDER <const> = { "from", "id", "address", "reply", "replies", "hops",
  "messages" }

local function any(value)
  return value
end

--- The fields of a query.
M.DOCUMENT_RULES = {
  address = parameters.text(MAX_ADDRESS),
  id = parameters.text(MAX_KEY),
  key = parameters.text(MAX_KEY),
  args = any,
  args_base64 = parameters.base64(MAX_ARGUMENTS),
  quorum = parameters.HOLDERS,
}

--------------------------------------------------------------- arguments --

local to_bencode -- function(value, path): any, string?

local function convert_items(given, path)
  local items = {}
  for name, item in pairs(given) do
    local converted, problem = to_bencode(item, path .. "." .. name)
    if converted == nil then
      return nil, problem
    end
    items[name] = converted
  end
  return items
end

-- Returns a value of JSON as one that can be bencoded, or nil and a message.
function to_bencode(value, path)
  local integer = json_reader.integer(value)
  if type(value) == "string" or integer then
    return integer or value
  elseif json_reader.is_object(value) or json_reader.is_array(value) then
    return convert_items(value, path)
  end
  return nil, path .. " must be a string, integer, array or object: bencode "
    .. "has nothing else"
end

-- Returns the arguments of a query, or nil and a message.
local function read_arguments(options)
  if options.args ~= nil and options.args_base64 then
    return nil, "both args and args_base64"
  elseif options.args_base64 then
    local args = core.decode(options.args_base64)
    if type(args) ~= "table" or options.args_base64:sub(1, 1) ~= "d" then
      return nil, "args_base64 is not a bencoded dictionary"
    end
    return args
  elseif options.args == nil then
    return {}
  elseif not json_reader.is_object(options.args) then
    return nil, "args must be an object"
  end
  return convert_items(options.args, "args")
end

-- Returns what is wrong with the name of a query, or nil.
local function find_name_problem(name)
  local problem = queries.problem(name)
  if problem then
    return "the name of a query " .. problem
  elseif not name:find("^[!-~]+$") then
    return "the name of a query must have printable characters only"
  elseif queries.CORE[name] then
    return "'" .. name .. "' is a query of the node's own, not a custom one"
  end
end

-- Returns what is wrong with the arguments, or nil.
local function find_arguments_problem(args, has_key)
  if args.id ~= nil then
    return "args.id is added by the node"
  elseif has_key and args.target ~= nil then
    return "args.target is the key, and is added by the node"
  end
end

-------------------------------------------------------------------- send --

-- Reads the address to which a query goes, and the id of the node there.
-- Returns nil and a message on a problem.
local function read_address(options, bits)
  local is_valid, why = input.remote(options.address)
  if not is_valid then
    return nil, "address " .. why
  elseif options.quorum then
    return nil, "quorum belongs to a key"
  elseif not options.id then
    return { to = options.address }
  end
  local id, problem = parameters.key(options.id, bits)
  return id and { to = { address = options.address, id = id } }, problem
end

-- Reads where a query goes: `to`, a contact or an address, or `key`. Returns
-- nil and a message on a problem.
local function read_destination(options, bits)
  if (options.address == nil) == (options.key == nil) then
    return nil, "either address or key is needed"
  elseif options.address then
    return read_address(options, bits)
  elseif options.id then
    return nil, "id belongs to an address"
  end
  local key, problem = parameters.key(options.key, bits)
  return key and { key = key }, problem
end

local function describe_contact(contact)
  return contact and { id = contact.id and core.hex(contact.id),
    address = contact.address }
end

local function call(node, destination, name, args)
  local answered, info, code, details = node:call(destination.to, name, args)
  if not answered then
    return nil, info, code, details
  end
  return { reply = answered, from = describe_contact(info.from),
    messages = info.messages }
end

local function query(node, destination, name, args, quorum)
  local replies, info, code, details =
    node:query(destination.key, name, args, { quorum = quorum })
  if not replies then
    return nil, info, code, details
  end
  local rows = {}
  for i, item in ipairs(replies) do
    rows[i] = { reply = item.reply, from = describe_contact(item.from) }
  end
  return { replies = json.array(rows), hops = info.hops,
    messages = info.messages }
end

-- Returns what to send, or nil, a message and a status.
local function read(request, bits)
  local problem = find_name_problem(request.params.method)
  if problem then
    return nil, problem, 400
  elseif next(request.query or {}) then
    return nil, "a query has no parameters behind ?", 400
  end
  local options, message, status = parameters.body(request, M.DOCUMENT_RULES)
  if not options then
    return nil, message, status
  end
  local args, fault = read_arguments(options)
  problem = fault or find_arguments_problem(args, options.key)
  if problem then
    return nil, problem, 400
  end
  local destination
  destination, problem = read_destination(options, bits)
  if not destination then
    return nil, problem, 400
  end
  destination.args, destination.quorum = args, options.quorum
  return destination
end

--- Sends a query.
---@async
---@param api kadenza.web.Api
---@param request table
---@return table response
function M.post(api, request)
  local opened, closed, why = api.gateway:node()
  if not opened then
    return reply.failure(closed, why)
  end
  local name = request.params.method
  local what, problem, status = read(request, opened:id_bits())
  if not what then
    return reply.malformed(problem, status)
  end
  local document, message, code, details = api.gateway:perform(function(node)
    return (what.to and call or query)(node, what, name, what.args,
      what.quorum)
  end)
  if not document then
    return reply.failure(message, code, details)
  end
  return { status = 200, headers = { ["Content-Type"] = "application/json" },
    body = json.encode(document, ORDER) .. "\n" }
end

return M

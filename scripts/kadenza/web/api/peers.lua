--- `/v1/peers/{info_hash}`: looks up and announces peers (BEP 5).
--- Tested by tests/spec/web/api/peers_spec.lua.

local answer = require("kadenza.web.api.answer")
local core = require("kadenza.core")
local json = require("kadenza.json")
local parameters = require("kadenza.web.api.parameters")
local reply = require("kadenza.web.api.reply")

local M = {}

local ORDER <const> = { "info_hash", "peers", "scrape", "stored", "asked",
  "ttl", "holders", "hops", "messages" }

--- The parameters of a GET.
M.RULES = { scrape = parameters.SWITCH,
  noseed = parameters.SWITCH }
--- The fields of an announce.
M.DOCUMENT_RULES = {
  port = parameters.PORT,
  seed = parameters.SWITCH,
  min_stored = parameters.HOLDERS,
}

-- The forms of a GET.
local FORMS <const> = { {}, { scrape = true }, { noseed = true },
  { scrape = true, noseed = true } }

-- Returns the name under which the answer for peers is kept.
local function name_of(key, options)
  return ("peers %s %s %s"):format(key, options.scrape or false,
    options.noseed or false)
end

-- Returns the info hash of a request, or nil and a response.
local function read_hash(api, request)
  local node, message, code = api.gateway:node()
  if not node then
    return nil, reply.failure(message, code)
  end
  local key, problem = parameters.key(request.params.info_hash, node:id_bits())
  if not key then
    return nil, reply.malformed(problem)
  end
  return key
end

local function look_up(node, key, options)
  local peers, info, code, details = node:get_peers(key, options)
  if not peers then
    return nil, info, code, details
  end
  local scrape = info.scrape
  return {
    document = {
      info_hash = core.hex(key),
      peers = json.array(peers),
      scrape = scrape and { seeds = scrape.seeds, peers = scrape.peers },
      holders = info.holders, hops = info.hops, messages = info.messages,
    },
    life = answer.FRESH_SECONDS,
    bytes = 500 + 80 * #peers,
  }
end

--- Looks up the peers of an info hash.
---@async
---@param api kadenza.web.Api
---@param request table
---@return table response
function M.get(api, request)
  local key, refused = read_hash(api, request)
  if not key then
    return refused
  end
  local options, problem = parameters.query(request.query, M.RULES)
  if not options then
    return reply.malformed(problem)
  end
  local found, message, code, details = api.gateway:fetch(
    name_of(key, options), function(node)
      return look_up(node, key, options)
    end, answer.wants_fresh(request))
  if not found then
    return reply.failure(message, code, details)
  end
  return answer.document(found, ORDER)
end

--- Announces this machine as a peer of an info hash: the address is that of the
--- node, the port that of the body, or else of the node.
---@async
---@param api kadenza.web.Api
---@param request table
---@return table response
function M.post(api, request)
  local key, refused = read_hash(api, request)
  if not key then
    return refused
  elseif next(request.query or {}) then
    return reply.malformed("an announce has no parameters behind ?")
  end
  local options, problem, status =
    parameters.body(request, M.DOCUMENT_RULES, true)
  if not options then
    return reply.malformed(problem, status)
  end
  local port = options.port
  options.port = nil
  local info, message, code, details = api.gateway:perform(function(node)
    return node:announce(key, port, options)
  end)
  if not info then
    return reply.failure(message, code, details)
  end
  for _, form in ipairs(FORMS) do
    api.gateway:forget(name_of(key, form))
  end
  return { status = 200, headers = { ["Content-Type"] = "application/json" },
    body = json.encode({
      info_hash = core.hex(key), stored = info.stored, asked = info.asked,
      messages = info.messages, ttl = info.ttl,
    }, ORDER) .. "\n" }
end

return M

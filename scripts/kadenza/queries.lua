--- The names of queries that policies cannot define.
--- Tested by tests/spec/policy/shape_spec.lua.

local M = {}

--- Queries that the node sends and answers itself.
---@type table<string, boolean>
M.CORE = {
  ping = true,
  find_node = true,
  get_peers = true,
  announce_peer = true,
  find_value = true,
  store = true,
}

--- Queries that have a meaning in BitTorrent's DHT, with the document that
--- defines them. A program may send them with `call`; a policy cannot answer
--- them.
---@type table<string, string>
M.RESERVED = {
  get = "BEP 44",
  put = "BEP 44",
  sample_infohashes = "BEP 51",
  vote = "other programs",
}

local MAX_NAME <const> = 32

--- Returns what is wrong with the name of a custom query, or nil.
---@param name any
---@return string? problem
function M.problem(name)
  if type(name) ~= "string" then
    return "must be a string, not a " .. type(name)
  elseif #name < 1 or #name > MAX_NAME then
    return "must have 1 to " .. MAX_NAME .. " bytes, not " .. #name
  elseif string.find(name, "[%c\127]") then
    return "must have no control characters"
  end
end

return M

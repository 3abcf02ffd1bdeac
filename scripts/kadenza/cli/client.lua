--- Runs one-shot commands: opens a node, joins the overlay, performs one
--- operation and ends.
--
--     return client.join(settings, function(node)
--       local info = client.need(node:announce(key, port))
--       return { stored = info.stored }, "announced\n"
--     end)
--
-- Tested by tests/spec/cli/commands_spec.lua, tests/spec/cli/usage_spec.lua.

local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local kad = require("kadenza")
local network_keys = require("kadenza.cli.network_keys")
local policy_files = require("kadenza.cli.policy_files")
local remote = require("kadenza.cli.remote")
local session = require("kadenza.cli.session")

local M = {}

local ANY4 <const> = "0.0.0.0:0"
local ANY6 <const> = "[::]:0"

local FLAGS <const> = {
  "bootstrap", "listen", "policies", "trust", "id", "id_bits", "allow_local",
  "log", "json", "k", "alpha", "beta", "paths", "lookup_ms", "query_ms",
  "max_reply", "network_key", "network_passphrase_file",
}

-- Without `listen` and `id`: the environment may set those of a service, which
-- a client cannot share.
local VARIABLES <const> = {
  "bootstrap", "policies", "trust", "id_bits", "allow_local", "log", "json",
  "k", "alpha", "beta", "paths", "lookup_ms", "query_ms", "max_reply",
  "network_key", "network_passphrase_file",
}

--- The options of commands that join an overlay.
---@type kadenza.cli.Settings
M.SETTINGS = { flags = FLAGS, variables = VARIABLES, defaults = {
  listen = {}, log = "warn", read_only = "on",
} }

--- The options of commands that do not join.
---@type kadenza.cli.Settings
M.UNJOINED = {
  flags = { "listen", "id", "id_bits", "allow_local", "log", "json",
    "query_ms", "network_key", "network_passphrase_file" },
  variables = { "id_bits", "allow_local", "log", "json", "query_ms",
    "network_key", "network_passphrase_file" },
  defaults = M.SETTINGS.defaults,
}

--- Returns the results of an operation, or raises a fault if it failed.
---@param result any
---@param info any
---@param code? kadenza.Code
---@return any result
---@return any info
function M.need(result, info, code)
  if result == nil then
    local hint = " (--policy FILE defines record types)"
    fault.failed(tostring(info) .. (code == "KAD_ETYPE" and hint or ""), code)
  end
  return result, info
end

-- Returns lists of addresses to listen on, to try in order. They match the
-- families of `addresses`. A name may have either family, and the machine may
-- lack IPv6.
local function listen_choices(addresses)
  local has4, has6, has_name = false, false, false
  for _, address in ipairs(addresses) do
    local is6 = address:find("^%[") ~= nil
    has6 = has6 or is6
    has4 = has4 or not is6 and core.address(address) ~= nil
    has_name = has_name or core.address(address) == nil
  end
  if has_name then
    return { { ANY4, ANY6 }, { ANY4 } }
  elseif has6 then
    return { has4 and { ANY4, ANY6 } or { ANY6 } }
  end
  return { { ANY4 } }
end

local function open_node(settings, addresses, more)
  local options = config.node_options(settings)
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  local choices = options.listen and { options.listen }
    or listen_choices(addresses)
  local node, message, code
  for _, listen in ipairs(choices) do
    options.listen = listen
    node, message, code = kad.node(options)
    if node then
      return node
    end
  end
  fault.not_opened(message, code)
end

-- Reads the network keys, once: that may ask for a passphrase.
local function read_keys(settings)
  settings.network_keys = settings.network_keys or network_keys.read(settings)
end

--- Calls `act(node)` with a node that can reach `address` and has not joined.
---@param settings table
---@param address string
---@param act async fun(node: kadenza.Node): any, any
---@return any ...
function M.without_joining(settings, address, act)
  remote.check_local({ address }, settings.allow_local, "")
  read_keys(settings)
  return session.run(function()
    return act(open_node(settings, { address }))
  end)
end

--- Raises a fault for settings with which `join` would fail. Reads the
--- policies and the network keys, once.
---@param settings table
function M.check(settings)
  if #settings.bootstrap == 0 then
    fault.misuse("--bootstrap HOST:PORT is needed: a node to join through")
  end
  remote.check_local(settings.bootstrap, settings.allow_local, "--bootstrap ")
  settings.policy_texts = settings.policy_texts
    or policy_files.read(settings.policies)
  read_keys(settings)
end

--- Joins through the bootstrap nodes, then calls `act(node)`.
---@param settings table
---@param act async fun(node: kadenza.Node): any, any
---@param more? kadenza.NodeOptions  override those of the settings
---@return any ...
function M.join(settings, act, more)
  M.check(settings)
  return session.run(function()
    local node = open_node(settings, settings.bootstrap, more)
    local joined, message, code = node:bootstrap(settings.bootstrap)
    if not joined then
      remote.not_joined(node, settings.bootstrap, message, code)
    end
    return act(node)
  end)
end

return M

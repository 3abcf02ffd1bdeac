--- HTTP of `kadenza run`: the options --http and --http-…, read at the start
--- and at SIGHUP, and the server that they ask for.
--- Tested by tests/spec/cli/http_spec.lua.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local log = require("kadenza.log")
local output = require("kadenza.cli.output")
local remote = require("kadenza.web.listener")
local task = require("kadenza.task")

local M = {}

local TOKEN_FLAG <const> = "--http-token-file"
local MAX_FILE <const> = 4096
local MIN_TOKEN <const> = 16

-- Bytes that all bodies together may have: at least so many, and so many of the
-- largest.
local MIN_BODIES <const> = 8 << 20
local BODIES <const> = 4

------------------------------------------------------------------- token --

-- Returns what is wrong with a token, or nil.
local function token_problem(token)
  if token == "" then
    return "it is empty"
  elseif #token < MIN_TOKEN then
    return ("the token has fewer than %d characters"):format(MIN_TOKEN)
  elseif not token:find("^[%w%-._~+/]+=*$") then
    return "a token is one line of letters, digits and -._~+/="
  end
end

-- Returns the token in the file that the settings name; nil without a file.
-- Raises a fault for one that cannot be used.
local function read_token(settings)
  local path = settings.http_token_file
  if not path then
    return nil
  end
  local text = fault.read(TOKEN_FLAG, core.read_file(path, MAX_FILE))
  if core.is_shared(path) then
    fault.misuse("%s %s: other users may read or change it: run `chmod 600` on "
      .. "it", TOKEN_FLAG, path)
  end
  local token = text:match("^%s*(.-)%s*$")
  local problem = token_problem(token)
  if problem then
    fault.misuse("%s %s: %s", TOKEN_FLAG, path, problem)
  end
  return token
end

-- Returns what of the settings a running server can take over.
local function live_settings(settings)
  return { hosts = settings.http_host, origins = settings.http_origin,
    token = read_token(settings) }
end

----------------------------------------------------------------- service --

---@class kadenza.cli.Http
---@field server kadenza.web.Server
---@field connections integer  that are wanted
local Http = {}
Http.__index = Http

-- A process may have only so many files.
local function warn_of_limit(server, wanted)
  local limit = server:stats().limit // #server:addresses()
  if limit < wanted then
    log.warn("fewer HTTP connections than --http-connections: see `ulimit -n`",
      { connections = limit })
  end
end

local function warn_of_strangers(address)
  if not remote.is_loopback(address) then
    log.warn("other machines reach the HTTP server: 127.0.0.1 or a proxy with "
      .. "TLS is safer", { http = address })
  end
end

--- Binds the addresses of --http; returns nil if there are none.
---@param settings table  options by name
---@return kadenza.cli.Http? service
function M.prepare(settings)
  if #(settings.http or {}) == 0 then
    return nil
  elseif not pcall(require, "kadenza.httpd") then
    fault.misuse("--http: this program was built without HTTP")
  end
  local options = live_settings(settings)
  options.listen = settings.http
  options.limits = { connections = settings.http_connections,
    address_connections = settings.http_address_connections,
    body_bytes = settings.http_body,
    bodies_bytes = math.max(MIN_BODIES, BODIES * settings.http_body) }
  local server, message, code = require("kadenza.web").open(options)
  if not server then
    fault.failed("--http " .. message, code)
  end
  return setmetatable({ server = server,
    connections = settings.http_connections }, Http)
end

function Http:start(running)
  self.parts = require("kadenza.web").add_parts(self.server, running)
  self.server:start(task.network())
end

--- Prints a line for each address.
function Http:announce()
  for _, address in ipairs(self.server:addresses()) do
    output.text(("kadenza: serving http://%s/\n"):format(address))
    warn_of_strangers(address)
  end
  warn_of_limit(self.server, self.connections)
end

function Http:reload(settings)
  self.server:configure(live_settings(settings))
end

function Http:leave()
  self.parts:leave()
end

function Http:stop()
  self.server:close()
  if self.parts then
    self.parts:close()
  end
end

return M

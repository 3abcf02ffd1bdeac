--- What an HTTP server of a node refuses whatever the route: requests that a
--- web page of another site has a browser send, and writes without the token.
---
--- A page may find out the port of a node on the visitor's machine, and have a
--- name of its own resolve to 127.0.0.1 (DNS rebinding). The header Host tells
--- such a request; Origin tells the site that a request is from.

local M = {}

---@class kadenza.web.Guard
---@field hosts table<string, boolean>  names that may be in Host, lower case
---@field has_hosts boolean
---@field origins table<string, boolean>  "*": all
---@field token? string  nil: nothing may be written
---@field are_equal fun(a: string, b: string): boolean  in constant time
local Guard = {}
Guard.__index = Guard

local function set_of(list)
  local set = {}
  for _, item in ipairs(list or {}) do
    set[item:lower()] = true
  end
  return set
end

---@param options { hosts?: string[], origins?: string[], token?: string }
---@param are_equal fun(a: string, b: string): boolean
---@return kadenza.web.Guard guard
function M.new(options, are_equal)
  return setmetatable({
    hosts = set_of(options.hosts),
    has_hosts = #(options.hosts or {}) > 0,
    origins = set_of(options.origins),
    token = options.token,
    are_equal = are_equal,
  }, Guard)
end

-- Bytes of a Host: a name (RFC 1035 §2.3.4), a colon and a port. The patterns
-- below take quadratic time.
local MAX_HOST <const> = 261

-- Bytes of an Origin that is read.
local MAX_ORIGIN <const> = 300

-- Returns the host of "HOST:PORT", in lower case and without a dot at its end.
local function host_of(text)
  if #text > MAX_HOST then
    return nil
  end
  local host = text:match("^(%[[%x:.]+%]):?%d*$")
    or text:match("^([^:]*):?%d*$")
  return host and host:lower():gsub("%.$", "")
end

local function is_literal(host)
  return host:find("^%[") ~= nil or host:find("^%d+%.%d+%.%d+%.%d+$") ~= nil
end

--- Tells whether a request may have this header Host. Without names of its own,
--- a listener that others reach takes every name.
---@param host? string  nil: the request has none, as no browser sends it
---@param is_loopback boolean  only this machine reaches the listener
---@return boolean
function Guard:allows_host(host, is_loopback)
  if host == nil or not (is_loopback or self.has_hosts) then
    return true
  end
  local name = host_of(host)
  return name ~= nil and (is_literal(name) or name == "localhost"
    or name:find("%.localhost$") ~= nil or self.hosts[name] == true)
end

local SAFE <const> = { GET = true, HEAD = true, OPTIONS = true }

--- Tells whether a page of `origin` may read the response.
---@param origin? string
---@return boolean
function Guard:shares_with(origin)
  return origin ~= nil and #origin <= MAX_ORIGIN
    and (origin == "null" or origin:find("^%a[%w+.-]*://[^%s%c]+$") ~= nil)
    and (self.origins["*"] or self.origins[origin:lower()]) == true
end

--- Tells whether a request may have this header Origin: a page of another site
--- must not change anything, even if it cannot read the response.
---@param method string
---@param origin? string
---@param host? string
---@return boolean
function Guard:allows_origin(method, origin, host)
  if origin == nil or SAFE[method] or self:shares_with(origin) then
    return true
  end
  local own = origin:lower():match("^https?://(.*)$")
  return own ~= nil and own == (host or ""):lower()
end

--- Checks the token of a request.
---@param authorization? string  the header
---@return boolean allowed
---@return "no_token"|"unauthorized"|nil problem  the server has none; the
---  request has none, or another one
function Guard:check_token(authorization)
  if not self.token then
    return false, "no_token"
  end
  local scheme, token = (authorization or ""):match("^(%a+) +([%w%-._~+/=]+)$")
  if scheme and scheme:lower() == "bearer" and self.are_equal(token, self.token)
  then
    return true
  end
  return false, "unauthorized"
end

return M

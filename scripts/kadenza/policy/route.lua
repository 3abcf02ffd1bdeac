--- Routes of policies that serve HTTP: what "GET /poll/:name" means, which
--- routes exclude each other, and which one a request is for.
--
-- A pattern is a path whose segments are texts or parameters, ":name", of
-- which each stands for one segment that is not empty. Of two patterns that fit
-- a path the more special one counts: /poll/all before /poll/:name. Patterns
-- that fit a common path although neither is more special cannot be together.
--
-- Tested by tests/spec/policy/route_spec.lua.

local M = {}

--- The methods of requests that policies can serve. A HEAD is a GET.
M.METHODS = { GET = true, PUT = true, POST = true, DELETE = true, PATCH = true }

-- Methods that must not change anything: a page of any site can send them.
local READS <const> = { GET = true }

local MAX_PATTERN <const> = 100 -- bytes
local MAX_SEGMENTS <const> = 16

-- First segments of the paths that the node itself serves, now or later.
local TAKEN <const> = { metrics = true, health = true }

---@class kadenza.Route
---@field method string
---@field pattern string  "/poll/:name"
---@field segments string[]  ":" for a parameter
---@field names table<integer, string>  of the parameters, by segment

-- Without methods of strings: policies pay for them.

-- Returns the segments of a path, which begins with '/'; nil for another text.
local function split(path)
  if string.sub(path, 1, 1) ~= "/" then
    return nil
  end
  local segments = {}
  for segment in string.gmatch(path, "/([^/]*)") do
    segments[#segments + 1] = segment
    if #segments > MAX_SEGMENTS then
      return nil
    end
  end
  return segments
end

-- Adds a segment of a pattern to a route. Returns a problem, or nil.
local function add_segment(route, segment)
  local place = #route.segments + 1
  local name = string.match(segment, "^:(.*)$")
  if not name then
    route.segments[place] = segment
    if segment == "" or segment == "." or segment == ".."
      or string.find(segment, "[^%w._~-]")
    then
      return "has a segment that is not made of a-z, A-Z, 0-9, '.', '_', '~' "
        .. "and '-'"
    end
    return nil
  elseif not string.find(name, "^[%a_][%w_]*$") then
    return "has a parameter whose name is not made of letters, digits and '_'"
  end
  for _, other in next, route.names do
    if other == name then
      return "has two parameters '" .. name .. "'"
    end
  end
  route.segments[place], route.names[place] = ":", name
end

-- Returns the problem of a first segment, or nil.
local function problem_of_first(first)
  if TAKEN[first] or string.find(first, "^v%d+$") then
    return "begins with /" .. first .. ", which the node itself serves"
  end
end

-- Returns the method and the path of a route; nil and a problem.
local function read_words(text)
  local method, pattern =
    string.match(type(text) == "string" and text or "", "^(%S+) (/%S*)$")
  if not method then
    return nil, 'is not a method and a path, as "GET /poll/:name"'
  elseif not M.METHODS[method] then
    return nil, "needs the method GET, PUT, POST, DELETE or PATCH"
  elseif #pattern > MAX_PATTERN then
    return nil, "has a path of more than " .. MAX_PATTERN .. " bytes"
  elseif pattern == "/" then
    return nil, "has the path /, which the node itself serves"
  end
  return method, pattern
end

--- Reads a route.
---@param text any  such as "GET /poll/:name"
---@return kadenza.Route? route
---@return string? problem  what the text does
function M.parse(text)
  local method, pattern = read_words(text)
  local segments = method and split(pattern)
  if not method then
    return nil, pattern
  elseif not segments then
    return nil, "has more than " .. MAX_SEGMENTS .. " segments"
  end
  local route = { method = method, pattern = pattern, segments = {},
    names = {} }
  for _, segment in ipairs(segments) do
    local problem = add_segment(route, segment)
    if problem then
      return nil, problem
    end
  end
  local problem = problem_of_first(route.segments[1])
  if problem then
    return nil, problem
  end
  return route
end

--- Tells whether the path of a request that fits a route is one of the node
--- itself: its first segment is a parameter.
---@param route kadenza.Route
---@param params table<string, string>
---@return boolean
function M.is_of_node(route, params)
  local name = route.names[1]
  return name ~= nil and problem_of_first(params[name]) ~= nil
end

--- Tells whether requests of a method only read, unless a policy breaks that
--- rule.
---@param method string
---@return boolean
function M.only_reads(method)
  return READS[method] or false
end

--- Tells whether two routes cannot be together: both fit some path, and neither
--- is more special. Routes of the same segments are so.
---@param a kadenza.Route
---@param b kadenza.Route
---@return boolean
function M.exclude(a, b)
  if a.method ~= b.method or #a.segments ~= #b.segments then
    return false
  end
  local a_special, b_special = false, false
  for i, segment in ipairs(a.segments) do
    local other = b.segments[i]
    if segment ~= other then
      if segment ~= ":" and other ~= ":" then
        return false -- no path fits both
      end
      a_special = a_special or other == ":"
      b_special = b_special or segment == ":"
    end
  end
  return a_special == b_special
end

-- Returns the parameters of a path that fits a route; nil if it does not.
local function match(route, segments)
  if #segments ~= #route.segments then
    return nil
  end
  local params = {}
  for i, segment in ipairs(route.segments) do
    if segment ~= ":" then
      if segment ~= segments[i] then
        return nil
      end
    elseif segments[i] == "" then
      return nil
    else
      params[route.names[i]] = segments[i]
    end
  end
  return params
end

-- Tells whether a route that fits a path is more special than another one.
local function is_before(route, other)
  for i, segment in ipairs(route.segments) do
    if segment ~= other.segments[i] then
      return segment ~= ":"
    end
  end
  return false
end

-- Tells whether the node itself serves a path.
local function is_taken(segments)
  return segments[1] == "" or problem_of_first(segments[1]) ~= nil
end

-- Returns the most special route of a method that fits a path, and its
-- parameters.
local function find_best(routes, method, segments)
  local best, best_params
  for _, route in ipairs(routes) do
    if route.method == method then
      local params = match(route, segments)
      if params and (not best or is_before(route, best)) then
        best, best_params = route, params
      end
    end
  end
  return best, best_params
end

-- Returns the methods of the routes that fit a path, in order.
local function methods_of(routes, segments)
  local methods, seen = {}, {}
  for _, route in ipairs(routes) do
    if not seen[route.method] and match(route, segments) then
      seen[route.method] = true
      methods[#methods + 1] = route.method
    end
  end
  table.sort(methods)
  return methods
end

--- Returns the route that a request is for.
---@generic R: kadenza.Route
---@param routes R[]
---@param method string  "HEAD" fits a route of "GET"
---@param path string  decoded, without query
---@return R? route
---@return table<string, string>|string[] params  of the path; without a route
---  the methods in use at that path
function M.find(routes, method, path)
  local segments = split(path)
  if not segments or is_taken(segments) then
    return nil, {}
  end
  local route, params =
    find_best(routes, method == "HEAD" and "GET" or method, segments)
  if route then
    return route, params
  end
  return nil, methods_of(routes, segments)
end

return M

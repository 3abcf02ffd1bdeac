--- Finds the handler of an HTTP request by its method and path.
--
--     local routes = router.new()
--     local remove = routes:add("GET", "/v1/records/:key", { handler = fn })
--     routes:find("GET", "/v1/records/a%2Fb")
--     -- { handler = fn, … }, { key = "a/b" }
--
-- A pattern is a path; a segment `:name` stands for any segment that is not
-- empty. A segment that is written out goes before one that is a name. A path
-- is split before its escapes are decoded: %2F does not end a segment.

local target = require("kadenza.web.target")

local M = {}

-- A longer path has no route.
local MAX_SEGMENTS <const> = 16

local METHODS <const> = { GET = true, HEAD = true, POST = true, PUT = true,
  DELETE = true, PATCH = true, OPTIONS = true }

---@class kadenza.web.Route
---@field handler async fun(request: table): table
---@field auth? "write"
---@field immediate? boolean  the handler never waits, and needs no task
---@field names? string[]  of the parameters, in the order of the path

---@class kadenza.web.Router
---@field private root table
local Router = {}
Router.__index = Router

local function new_node()
  return { static = {}, any = nil, routes = {} }
end

---@return kadenza.web.Router router
function M.new()
  return setmetatable({ root = new_node() }, Router)
end

-- Returns the segments of a path: none for "/". nil: they are too many.
local function segments_of(path)
  local segments = {}
  if path == "/" then
    return segments
  end
  for segment in path:gmatch("/([^/]*)") do
    segments[#segments + 1] = segment
    if #segments > MAX_SEGMENTS then
      return nil
    end
  end
  return segments
end

-- Returns the node of a pattern, made if needed, and the names in it.
local function node_of(root, pattern, level)
  local node, names = root, {}
  local segments = pattern:sub(1, 1) == "/" and segments_of(pattern)
  if not segments then
    error(("the pattern '%s' must be a path"):format(pattern), level + 1)
  end
  for _, segment in ipairs(segments) do
    local name = segment:match("^:([%a_][%w_]*)$")
    if name then
      names[#names + 1] = name
      node.any = node.any or new_node()
      node = node.any
    elseif segment == "" or segment:find("[:%%?#%s]") then
      error(("the pattern '%s' has an invalid segment"):format(pattern),
        level + 1)
    else
      node.static[segment] = node.static[segment] or new_node()
      node = node.static[segment]
    end
  end
  return node, names
end

--- Adds a route.
---@param method string  "GET" also serves HEAD
---@param pattern string
---@param route kadenza.web.Route
---@return fun() remove  removes it
function Router:add(method, pattern, route)
  if not METHODS[method] then
    error(("unknown method '%s'"):format(tostring(method)), 2)
  end
  local node, names = node_of(self.root, pattern, 2)
  if node.routes[method] then
    error(("%s %s has a handler already"):format(method, pattern), 2)
  end
  route.names = names
  node.routes[method] = route
  return function()
    if node.routes[method] == route then
      node.routes[method] = nil
    end
  end
end

-- Returns the node of the segments from `at` on. Values of names are put into
-- `values`.
local function find_node(node, segments, at, values)
  local segment = segments[at]
  if segment == nil then
    return next(node.routes) and node or nil
  end
  local static = node.static[segment]
  local found = static and find_node(static, segments, at + 1, values)
  if not found and node.any and segment ~= "" then
    local count = #values
    values[count + 1] = segment
    found = find_node(node.any, segments, at + 1, values)
    if not found then
      for i = #values, count + 1, -1 do
        values[i] = nil
      end
    end
  end
  return found
end

local function route_of(node, method)
  return node.routes[method] or method == "HEAD" and node.routes.GET or nil
end

-- Returns the methods of a node for the header Allow.
local function allowed(node)
  local methods = { "OPTIONS" }
  for method in pairs(node.routes) do
    methods[#methods + 1] = method ~= "OPTIONS" and method or nil
  end
  if node.routes.GET and not node.routes.HEAD then
    methods[#methods + 1] = "HEAD"
  end
  table.sort(methods)
  return table.concat(methods, ", ")
end

--- Finds the route of a request.
---@param method string
---@param path string  encoded
---@return kadenza.web.Route? route
---@return table<string, string>|400|404|405 params  by name, or the status
---@return string? allow  with 405: the methods that there are
function Router:find(method, path)
  local segments, values = segments_of(path), {}
  for i, segment in ipairs(segments or {}) do
    segments[i] = target.decode(segment)
    if not segments[i] then
      return nil, 400
    end
  end
  local node = segments and find_node(self.root, segments, 1, values)
  if not node then
    return nil, 404
  end
  local route = route_of(node, method)
  if not route then
    return nil, 405, allowed(node)
  end
  local params = {}
  for i, name in ipairs(route.names) do
    params[name] = values[i]
  end
  return route, params
end

return M

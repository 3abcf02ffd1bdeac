-- Checks that no files of core and of the bindings call each other in a circle.
-- A file is a .c file with its header. Files of one folder may be one module,
-- which is too long for one file. Each then says so, and why, at its head or at
-- the head of its header:
--
--     One module with lookup.c and paths.c: REASON.
--
-- Such a statement about files that no circle joins is a problem too.

local linkage = require("tests.check.linkage")
local tree = require("tests.check.tree")

local problems = {}

local function report(path, text)
  problems[#problems + 1] = path .. ":1: " .. text
end

local definitions, uses = linkage.read({ "core", "bindings" })

local function stem_of(path)
  return (path:gsub("%.[ch]$", ""))
end

---@alias Graph table<string, table<string, string>>
---  user, used: the name of a function. A file is a .c file and its header.

---@return Graph
local function make_graph()
  local graph = {}
  for _, definition in pairs(definitions) do
    graph[stem_of(definition.path)] = {}
  end
  for _, use in ipairs(uses) do
    local user, used = stem_of(use.path), stem_of(definitions[use.name].path)
    graph[user] = graph[user] or {}
    if user ~= used then
      graph[user][used] = graph[user][used] or use.name
    end
  end
  return graph
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

-- Finds what a file reaches by calls, and the shortest way to each.
---@param graph Graph
---@param from string
---@return table<string, string> ways  by the file at the end
local function find_ways(graph, from)
  local ways, queue = {}, { from }
  for _, user in ipairs(queue) do
    for _, used in ipairs(sorted_keys(graph[user])) do
      if not ways[used] then
        local way = user == from and "" or ways[user] .. ", "
        ways[used] = ("%s%s by %s"):format(way, used, graph[user][used])
        queue[#queue + 1] = used
      end
    end
  end
  return ways
end

---@return string[] circle  the files that reach each other, sorted
local function circle_of(ways, file)
  local circle = {}
  for other in pairs(ways[file]) do
    circle[#circle + 1] = ways[other] and ways[other][file] and other or nil
  end
  table.sort(circle)
  return circle
end

-- The other files of its module that the head of a file names.
---@return table<string, boolean> partners
local function partners_of(file)
  local partners = {}
  for _, ending in ipairs({ ".h", ".c" }) do
    local names = tree.head(file .. ending)
      :match("One module with ([^:]+): %S")
    for name in (names or ""):gmatch("([%w_]+)%.c") do
      partners[file:gsub("[^/]*$", name)] = true
    end
  end
  return partners
end

-- Returns whether the files of a circle say that they are one module.
local function is_module(partners, circle)
  local found, queue = { [circle[1]] = true }, { circle[1] }
  for _, file in ipairs(queue) do
    for _, other in ipairs(circle) do
      local is_named = partners[file][other] or partners[other][file]
      if is_named and not found[other] then
        found[other] = true
        queue[#queue + 1] = other
      end
    end
  end
  for _, file in ipairs(circle) do
    if not (found[file] and next(partners[file])) then
      return false
    end
  end
  return true
end

local function check_circles()
  local graph, ways, partners = make_graph(), {}, {}
  for file in pairs(graph) do
    ways[file], partners[file] = find_ways(graph, file), partners_of(file)
  end
  for file in pairs(graph) do
    local path = file .. (tree.read(file .. ".c") and ".c" or ".h")
    local circle = circle_of(ways, file)
    if #circle > 0 and not is_module(partners, circle) then
      report(path, "is in a circle of calls: " .. ways[file][file])
    end
    for partner in pairs(partners[file]) do
      if not (ways[file][partner] and ways[partner][file]) then
        report(path, "is not one module with " .. partner)
      end
    end
  end
end

check_circles()
return problems

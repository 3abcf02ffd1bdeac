-- Checks that no room of core has too many lines. When named, prints the lines
-- of each room of core and of the bindings.

local rooms = require("tests.check.room_order")
local tree = require("tests.check.tree")

local ROOM_LINES <const> = 3500

---@param path string
---@return string room
local function room_of(path)
  return rooms.of(path) or path:match("^(.*)/[^/]*$")
end

local lines, names = {}, {}
for _, path in ipairs(tree.files({ "core", "bindings" }, "[ch]")) do
  local room = room_of(path)
  if not lines[room] then
    names[#names + 1] = room
  end
  lines[room] = (lines[room] or 0) + #tree.lines(path)
end

local problems = {}
for _, name in ipairs(names) do
  if arg[1] == "rooms" then
    print(("%6d  %s"):format(lines[name], name))
  end
  if rooms.is_known(name) and lines[name] > ROOM_LINES then
    problems[#problems + 1] = ("%s: %d lines, more than %d"):format(name,
      lines[name], ROOM_LINES)
  end
end
return problems

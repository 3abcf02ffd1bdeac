-- Checks what includes cannot show, because rooms share the struct of the node:
--
-- * A room uses functions of its own and of lower rooms only (room_order.lua).
-- * A function is defined in a file named after the header that declares it:
--   what table.h declares is in table.c or in a part of it, table_view.c. What
--   a public header declares, such as kadenza.h, may be anywhere.
--
-- To use a function is to call it or to take a pointer to it. Inline functions
-- of headers count.

local linkage = require("tests.check.linkage")
local rooms = require("tests.check.room_order")

local problems = {}

local function report(path, line, ...)
  problems[#problems + 1] = ("%s:%d: %s"):format(path, line,
    string.format(...))
end

local definitions, uses = linkage.read({ "core" })

local function check_directions()
  local seen = {}
  for _, use in ipairs(uses) do
    local user, used = rooms.of(use.path), rooms.of(definitions[use.name].path)
    local key = use.path .. " " .. use.name
    if not (seen[key] or rooms.may_use(user, used)) then
      seen[key] = true
      report(use.path, use.line, "%s must not use %s: %s", user, used, use.name)
    end
  end
end

local function is_named_after(path, header)
  local stem, expected = path:gsub("%.[ch]$", ""), header:gsub("%.h$", "")
  return stem == expected or stem:sub(1, #expected + 1) == expected .. "_"
end

local function check_names()
  for name, definition in pairs(linkage.read({ "core", "bindings" })) do
    local fits = #definition.headers == 0
    for _, header in ipairs(definition.headers) do
      fits = fits or is_named_after(definition.path, header)
    end
    if not fits then
      report(definition.path, definition.line, "defines %s of %s", name,
        definition.headers[1])
    end
  end
end

check_directions()
check_names()
return problems

-- Finds where C sources define, declare and use names with external linkage:
-- functions and constants that begin with `kad_`, and inline functions of
-- headers.
--
--   local linkage = require "tests.check.linkage"
--   local definitions, uses = linkage.read({ "core" })
--
-- It reads the source text and relies on the style: sources are formatted, and
-- only what has external linkage, or is inline in a header, begins with `kad_`.

local tree = require("tests.check.tree")

local M = {}

---@class Definition
---@field path string  the file that defines the name
---@field line integer
---@field headers string[]  the headers that declare it

---@class Use
---@field name string
---@field path string  the file that uses it
---@field line integer

-- Moves macros away from the rest of the code.
---@param lines string[]  without comments
---@return string[] code  without the macros
---@return string[] macros  only the macros; the same numbers of lines
local function separate_macros(lines)
  local code, macros, in_macro = {}, {}, false
  for number, line in ipairs(lines) do
    in_macro = in_macro or line:find("^%s*#") ~= nil
    code[number] = in_macro and "" or line
    macros[number] = in_macro and line or ""
    in_macro = in_macro and line:find("\\$") ~= nil
  end
  return code, macros
end

-- Separates declarations, which end in `;` or in the brace that opens a body,
-- from what stands inside of braces or in a macro.
---@param lines string[]  without comments
---@return string outside
---@return string[] inside  line by line
local function separate(lines)
  local code, macros = separate_macros(lines)
  local outside, inside, depth = {}, {}, 0
  for number, line in ipairs(code) do
    local inner = { macros[number] }
    for piece, brace in line:gmatch("([^{}]*)([{}]?)") do
      table.insert(depth > 0 and inner or outside, piece .. brace)
      depth = depth + (#brace > 0 and (brace == "{" and 1 or -1) or 0)
    end
    outside[#outside + 1] = "\n"
    inside[number] = table.concat(inner)
  end
  return table.concat(outside), inside
end

-- Finds the name that a declaration outside of braces declares.
---@param text string  without the `;` or `{` that ends it
---@return string? name
local function declared_name(text)
  if text:find("^%s*typedef") then
    return nil
  end
  return text:match("%f[%w_](kad_[%w_]+)%s*%b()%s*$")
    or text:match("%f[%w_](kad_[%w_]+)%s*=")
    or text:match("%f[%w_](kad_[%w_]+)%s*%b[]%s*=")
    or text:match("^%s*extern.-%f[%w_](kad_[%w_]+)%s*$")
    or text:match("^%s*extern.-%f[%w_](kad_[%w_]+)%s*%b[]%s*$")
end

local function add_declarations(path, text, definitions, declarations)
  local line = 1
  for declaration, ending in text:gmatch("([^;{]*)([;{])") do
    local name = declared_name(declaration)
    line = line + select(2, declaration:gsub("\n", ""))
    if name and (ending == "{" or declaration:find("=")) then
      definitions[name] = { path = path, line = line, headers = {} }
    elseif name then
      declarations[#declarations + 1] = { name = name, path = path }
    end
  end
end

local function add_uses(path, inside, uses)
  for number, line in ipairs(inside) do
    line = line:gsub("%f[%w_]struct%s+kad_[%w_]+", "")
      :gsub("%f[%w_]enum%s+kad_[%w_]+", "")
    for name in line:gmatch("%f[%w_]kad_[%w_]+") do
      uses[#uses + 1] = { name = name, path = path, line = number }
    end
  end
end

---@param folders string[]
---@return table<string, Definition> definitions  by name
---@return Use[] uses  of names in `definitions`
function M.read(folders)
  local definitions, declarations, mentions, uses = {}, {}, {}, {}
  for _, path in ipairs(tree.files(folders, "[ch]")) do
    local outside, inside = separate(tree.code(path))
    if not tree.is_public(path) then
      add_declarations(path, outside, definitions, declarations)
      add_uses(path, inside, mentions)
    end
  end
  for _, declaration in ipairs(declarations) do
    local definition = definitions[declaration.name]
    if definition then
      table.insert(definition.headers, declaration.path)
    end
  end
  for _, use in ipairs(mentions) do
    if definitions[use.name] then
      uses[#uses + 1] = use
    end
  end
  return definitions, uses
end

return M

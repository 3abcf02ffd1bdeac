--- Reads the LuaCATS annotations of a module.
--
--     local module = annotations.read("scripts/kadenza/key.lua")
--     print(module.items[1].name, module.items[1].params[1].type)

local M = {}

---@class Annotated
---@field name string  "open", or "kadenza.Node" of a class
---@field owner string  the table that has it as a field; "" for none
---@field kind "function"|"value"|"class"|"alias"|"reexport"
---@field target string?  of a reexport: the field of the other module
---@field values string?  of an alias
---@field arguments string[]
---@field text string[]  lines of the description
---@field params table[]  { name, optional, type, text }
---@field returns table[]  { type, name, text }
---@field fields table[]  { name, optional, type, text }
---@field waits boolean

-- Splits a text after its type, which ends at a space outside of brackets,
-- unless the characters before that space cannot end a type.
---@param text string
---@return string kind
---@return string rest
local function split_type(text)
  local depth = 0
  for at = 1, #text do
    local char, before = text:sub(at, at), text:sub(1, at - 1)
    if char:find("[{(<]") then
      depth = depth + 1
    elseif char:find("[})>]") then
      depth = depth - 1
    elseif char == " " and depth == 0 and not before:find("[:|,]$")
      and not before:find("async$")
    then
      return before, (text:sub(at):gsub("^%s+", ""))
    end
  end
  return text, ""
end

local tags = {}

function tags.param(item, text)
  local name, optional, rest = text:match("^([%w_.]+)(%??)%s+(.*)$")
  local kind, about = split_type(rest)
  table.insert(item.params, {
    name = name, optional = optional ~= "", type = kind, text = about,
  })
end

tags["return"] = function(item, text)
  local kind, rest = split_type(text)
  local name, about = rest:match("^([%w_.]*)%s*(.*)$")
  table.insert(item.returns, { type = kind, name = name, text = about })
end

function tags.field(item, text)
  local name, optional, rest = text:match("^([%w_]+)(%??)%s+(.*)$")
  if name ~= "private" then
    local kind, about = split_type(rest)
    table.insert(item.fields, {
      name = name, optional = optional ~= "", type = kind, text = about,
    })
  end
end

function tags.class(item, text)
  item.kind, item.name = "class", text:match("^[%w_.]+")
end

function tags.alias(item, text)
  item.kind = "alias"
  item.name, item.values = text:match("^([%w_.]+)%s*(.*)$")
end

function tags.async(item)
  item.waits = true
end

-- Reads the lines of a block, without their dashes. A line that begins with a
-- space or a bar continues the tag before it.
local function read_block(lines)
  local item = {
    text = {}, params = {}, returns = {}, fields = {}, arguments = {},
    owner = "", waits = false,
  }
  local whole = {}
  for _, line in ipairs(lines) do
    local last = whole[#whole]
    if last and last:find("^@") and line:find("^[ |]") then
      whole[#whole] = last .. " " .. line:gsub("^%s+", "")
    else
      whole[#whole + 1] = line
    end
  end
  for _, line in ipairs(whole) do
    local tag, rest = line:match("^@(%w+)%s*(.*)$")
    if not tag then
      table.insert(item.text, (line:gsub("^ ", "")))
    elseif tags[tag] then
      tags[tag](item, rest)
    end
  end
  return item
end

-- Sets in `item` what the line below its block declares.
local function read_declaration(item, line)
  local owner, name, list = line:match("^function ([%w_]+)[.:]([%w_]+)%((.*)%)")
  if not owner then
    list = line:match("^return function%((.*)%)")
  end
  if list then
    item.kind, item.owner, item.name = "function", owner or "", name or ""
    for argument in list:gmatch("[%w_.]+") do
      table.insert(item.arguments, argument)
    end
  elseif not item.kind and line:find("^[%w_]+%.[%w_]+ = ") then
    item.kind = "value"
    item.owner, item.name = line:match("^([%w_]+)%.([%w_]+)")
  end
  return item
end

-- Reads the comment at the head of a file: `---`, then lines with `--`.
local function read_head(lines)
  local text, at = {}, 1
  while lines[at] and lines[at]:find("^%-%-") do
    text[at] = lines[at]:gsub("^%-%-%-?", ""):gsub("^ ", "")
    at = at + 1
  end
  return text, at
end

---@param path string
---@return string[]
local function read_lines(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

-- Adds a field that belongs to another module, such as `M.key = key.of`.
local function add_reexport(module, line)
  local name, target = line:match("^M%.([%w_]+) = ([%w_.]+)$")
  if name then
    table.insert(module.items, { kind = "reexport", owner = "M", name = name,
      target = target })
  end
end

--- Reads a module. `modules` has the local names of the required modules.
---@param path string
---@return { text: string[], items: Annotated[],
---  modules: table<string, string> } module
function M.read(path)
  local lines = read_lines(path)
  local text, first = read_head(lines)
  local module = { text = text, items = {}, modules = {} }
  local block = {}
  for i = first, #lines do
    local line = lines[i]
    local documentation = line:match("^%-%-%-(%f[^%-].*)$")
    if documentation then
      block[#block + 1] = documentation
    elseif #block > 0 then
      local item = read_declaration(read_block(block), line)
      module.items[#module.items + 1] = item.kind and item or nil
      block = {}
    else
      add_reexport(module, line)
    end
    local name, required = line:match('^local ([%w_]+) = require%("([^"]+)"%)$')
    if name then
      module.modules[name] = required
    end
  end
  return module
end

return M

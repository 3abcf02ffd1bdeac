--- Writes the options of the program into docs/operations.md, from the table
--- that flags, help and checks also come from (kadenza.cli.schema).

local literal = require("kadenza.literal")
local schema = require("kadenza.cli.schema")

local M = {}

local MARKDOWN_HEAD <const> = "| option | default | unit | range | reload | |\n"
  .. "|---|---|---|---|---|---|\n"

local function default_of(option)
  return option.default ~= nil and "`" .. literal.format(option.default) .. "`"
    or ""
end

local function range_of(option)
  return option.kind == "number" and ("%d to %d"):format(option.min, option.max)
    or ""
end

-- Replaces the text between `first` and `last`; both remain.
local function replace(text, first, last, new)
  local _, from = assert(text:find(first, 1, true))
  local to = assert(text:find(last, from + 1, true))
  return text:sub(1, from) .. new .. text:sub(to)
end

--- Returns docs/operations.md with its table of options up to date.
---@param text string
---@return string text
function M.operations(text)
  local rows = {}
  for i, option in ipairs(schema.OPTIONS) do
    rows[i] = ("| `%s` | %s | %s | %s | %s | %s |"):format(option.name,
      default_of(option), option.unit or "", range_of(option),
      option.live and "yes" or "", option.text)
  end
  return replace(text, MARKDOWN_HEAD, "\n\n", table.concat(rows, "\n"))
end

return M

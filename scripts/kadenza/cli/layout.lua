--- Lays out text for a terminal of some width.

local core = require("kadenza.core")

local M = {}

local width = core.text_width

-- What the further lines of a long line are indented by.
local HANGING <const> = 2

-- Returns the words of a line, each with the blanks before it.
local function split(line)
  local words = {}
  for blanks, word in line:gmatch("( *)([^ ]+)") do
    words[#words + 1] = { blanks = blanks, word = word }
  end
  return words
end

local function wrap_line(line, columns)
  local words = width(line) > columns and split(line) or {}
  if not words[1] then
    return line
  end
  local indent = words[1].blanks .. (" "):rep(HANGING)
  local lines, current = {}, words[1].blanks .. words[1].word
  for i = 2, #words do
    local longer = current .. words[i].blanks .. words[i].word
    if width(longer) > columns then
      lines[#lines + 1] = current
      longer = indent .. words[i].word
    end
    current = longer
  end
  lines[#lines + 1] = current
  return table.concat(lines, "\n")
end

--- Breaks lines that are too long, between words.
---@param text string
---@param columns? integer  nil: leaves the text as it is
---@return string text
function M.wrap(text, columns)
  if not columns then
    return text
  end
  return (text:gsub("[^\n]+", function(line)
    return wrap_line(line, columns)
  end))
end

--- Returns a text as one word of a shell: in quotes unless it is plain.
---@param text string
---@return string word
function M.shell_word(text)
  if text:find("^[%w_./:=@%%+,-]+$") then
    return text
  end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Returns a command of a shell, indented by two blanks. If it is too long, it
--- is continued in further lines, as a shell reads it.
---@param words string[]
---@param columns? integer
---@return string text  ends with a newline
function M.command(words, columns)
  local lines, current = {}, "  " .. words[1]
  for i = 2, #words do
    local longer = current .. " " .. words[i]
    local room = (columns or math.huge) - (i < #words and 2 or 0) -- for " \\"
    if width(longer) > room then
      lines[#lines + 1] = current .. " \\"
      longer = "    " .. words[i]
    end
    current = longer
  end
  lines[#lines + 1] = current
  return table.concat(lines, "\n") .. "\n"
end

local function pad(cell, columns, is_left)
  local room = (" "):rep(columns - width(cell))
  return is_left and cell .. room or room .. cell
end

--- Formats rows as columns: the first one is aligned to the left, others to the
--- right.
---@param rows string[][]
---@return string[] lines
function M.align(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, width(cell))
    end
  end
  local lines = {}
  for i, row in ipairs(rows) do
    local cells = {}
    for j, cell in ipairs(row) do
      cells[j] = pad(cell, widths[j], j == 1)
    end
    lines[i] = (table.concat(cells, "  "):gsub(" +$", ""))
  end
  return lines
end

-- Formats a row as its first cell, and below it `name value` for each other.
local function describe_row(names, row)
  local parts = {}
  for i = 2, #row do
    parts[i - 1] = names[i] .. " " .. row[i]
  end
  return row[1] .. "\n    " .. table.concat(parts, ", ")
end

--- Formats a table. If it is wider than the terminal, each row becomes some
--- lines of their own, with the names of the cells.
---@param rows string[][]  the first one has the names of the columns
---@param columns? integer
---@return string text  ends with a newline
function M.table(rows, columns)
  local lines = M.align(rows)
  for _, line in ipairs(lines) do
    if columns and width(line) > columns then
      lines = {}
      for i = 2, #rows do
        lines[i - 1] = describe_row(rows[1], rows[i])
      end
      break
    end
  end
  return M.wrap(table.concat(lines, "\n"), columns) .. "\n"
end

--- Returns the first of several texts that fits; the last one if none does.
---@param texts string[]  the longest one first
---@param columns integer
---@return string text
function M.first_fit(texts, columns)
  for _, text in ipairs(texts) do
    if width(text) <= columns then
      return text
    end
  end
  return texts[#texts]
end

return M

--- Makes the page of the C reference from the headers.
--
-- A header consists of sections (`/* --- name -- */`), and a section of
-- paragraphs with blank lines between them. A paragraph is a comment, a
-- declaration, or both.

local M = {}

-- Reads a header without the parts for C++, whose braces enclose all of it.
---@param path string
---@return string[] lines
local function read_lines(path)
  local lines, is_c = {}, true
  for line in io.lines(path) do
    is_c = is_c and line ~= "#ifdef __cplusplus"
    if is_c then
      lines[#lines + 1] = line
    end
    is_c = is_c or line == "#endif"
  end
  return lines
end

-- Splits the lines into paragraphs. Blank lines inside comments and braces do
-- not end a paragraph.
---@param lines string[]
---@return string[][] paragraphs
local function split_paragraphs(lines)
  local paragraphs, current, depth, in_comment = {}, {}, 0, false
  for _, line in ipairs(lines) do
    local code = line:gsub("/%*.-%*/", "")
    if code:find("/*", 1, true) then
      in_comment = true
    elseif code:find("*/", 1, true) then
      in_comment = false
    elseif not in_comment then
      local _, opened = code:gsub("[{(]", "")
      local _, closed = code:gsub("[})]", "")
      depth = depth + opened - closed
    end
    if line == "" and depth == 0 and not in_comment then
      paragraphs[#paragraphs + 1] = current
      current = {}
    else
      current[#current + 1] = line
    end
  end
  paragraphs[#paragraphs + 1] = current
  return paragraphs
end

-- Splits a paragraph into the comment at its head and the code below it.
---@param lines string[]
---@return string[] comment  without its stars
---@return string[] code
local function split_comment(lines)
  local comment, code = {}, {}
  if not (lines[1] or ""):find("^/%*") then
    return comment, lines
  end
  local last = 1
  while not lines[last]:find("*/", 1, true) do
    last = last + 1
  end
  for i = 1, last do
    comment[i] = lines[i]:gsub("^/%*%s?", ""):gsub("^ %*%s?", "")
      :gsub("%s*%*/$", "")
  end
  table.move(lines, last + 1, #lines, 1, code)
  return comment, code
end

-- Escapes characters that are markup in Markdown, except in code spans.
local function escape(line)
  local spans = {}
  line = line:gsub("`[^`]*`", function(span)
    spans[#spans + 1] = span
    return "\0"
  end)
  line = line:gsub("[*<]", "\\%0")
  return (line:gsub("\0", function()
    return table.remove(spans, 1)
  end))
end

-- Makes an item of a Markdown list from the first line of an item in a list of
-- errors ("  KAD_EINVAL  MEANING"); returns nil for any other line.
---@param line string
---@return string? item
local function list_item(line)
  local names, meaning = line:match("^  (KAD_E[%u_, ]*)(.*)$")
  if not names or meaning ~= "" and not names:find("  $") then
    return nil
  end
  names = names:gsub("%s+$", ""):gsub("[%w_]+", "`%0`")
  return ("- %s: %s"):format(names, escape(meaning)):gsub("%s+$", "")
end

---@alias LineKind "code" | "list" | "prose"

---@param line string
---@param previous LineKind  of the line before
---@return LineKind
local function kind_of(line, previous)
  if line:find("^  KAD_E") or previous == "list" and line:find("^   ") then
    return "list"
  elseif line:find("^    ") or previous == "code" and line == "" then
    return "code"
  end
  return "prose"
end

-- Writes a comment: prose, lists of errors, and code, whose lines are indented.
---@param comment string[]
---@return string text
local function write_comment(comment)
  local out, kind = {}, "prose"
  for _, line in ipairs(comment) do
    local previous = kind
    kind = kind_of(line, previous)
    if kind ~= previous then
      out[#out + 1] = ""
    end
    local bare = escape((line:gsub("^%s+", "")))
    if kind == "code" then
      bare = line
    elseif kind == "list" then
      bare = list_item(line) or "  " .. bare
    end
    out[#out + 1] = bare
  end
  return (table.concat(out, "\n"):gsub("\n\n\n+", "\n\n"):gsub("%s+$", ""))
end

-- Patterns for the declared name; the first that matches the text counts.
local NAMES <const> = {
  "^%s*#define ([%w_]+)",
  "^typedef [^;]-%(%*([%w_]+)%)",
  "^typedef [^;]-([%w_]+);",
  "^struct ([%w_]+);",
  "^struct ([%w_]+) {",
  "^enum ([%w_]+) {",
  "^enum {%s*([%w_]+)",
  "^[%w_ *]-([%w_]+)%(",
}

---@param code string
---@return string? name
local function name_of(code)
  local text = code:gsub("/%*.-%*/", ""):gsub("%s+", " ")
  for _, pattern in ipairs(NAMES) do
    local name = text:match(pattern)
    if name then
      return name
    end
  end
  return nil
end

-- Removes macros that matter only to the compiler, and moves the lines that
-- were aligned after them.
---@param code string[]
---@return string[] lines
local function remove_macros(code)
  local lines, shift = {}, 0
  for i, line in ipairs(code) do
    local bare = line:gsub("^KAD_API ", ""):gsub("^KAD_MUST_CHECK ", "")
    if line:find("^%S") then
      shift = #line - #bare
    elseif #line:match("^ *") <= shift then
      shift = 0
    end
    lines[i] = line:find("^%S") and bare or line:sub(shift + 1)
  end
  return lines
end

-- Splits the arguments of an item of an X-macro; strings keep their quotes.
local function arguments_of(item)
  local arguments, current = {}, ""
  for piece, comma in (item:sub(2, -2) .. ","):gmatch('([^",]*)([",])') do
    current = current .. piece
    if comma == '"' then
      current = current .. comma
    elseif select(2, current:gsub('"', "")) % 2 == 0 then
      arguments[#arguments + 1] = current:match("^%s*(.-)%s*$")
      current = ""
    else
      current = current .. comma
    end
  end
  return arguments
end

-- The columns of tables, by the number of arguments of an item.
local COLUMNS <const> = {
  [2] = { "name", "text" },
  [3] = { "name", "value", "text" },
  [7] = { "type", "name", "default", "smallest", "greatest", "unit", "text" },
}

-- Returns the list of an X-macro as a table; nil for other code.
local function x_macro_table(text)
  if not text:find("^#define [%w_]+_MAP%(X%)") then
    return nil
  end
  text = text:gsub('"%s*\\?\n%s*"', ""):gsub("\\\n%s*", "")
  local rows = {}
  for item in text:gmatch("X(%b())") do
    local cells = arguments_of(item)
    if #cells > 1 then
      local columns = COLUMNS[#cells]
      for i, cell in ipairs(cells) do
        cells[i] = cell:match('^"(.*)"$') or ("`%s`"):format(cell)
      end
      rows[1] = ("| %s |"):format(table.concat(columns, " | "))
      rows[2] = ("|"):rep(#columns + 1, "---")
      rows[#rows + 1] = ("| %s |"):format(table.concat(cells, " | "))
    end
  end
  return table.concat(rows, "\n") .. "\n"
end

---@param comment string[]
---@param code string[]
---@return string text
local function write_declaration(comment, code)
  local text = table.concat(remove_macros(code), "\n")
  local parts = {}
  local name = name_of(text)
  if name then
    parts[#parts + 1] = ("### %s\n"):format(name)
  end
  if #comment > 0 then
    parts[#parts + 1] = write_comment(comment) .. "\n"
  end
  parts[#parts + 1] = x_macro_table(text) or "```c\n" .. text .. "\n```\n"
  return table.concat(parts, "\n")
end

-- Returns true for preprocessor lines that are around the declarations.
local function is_frame(code)
  local text = table.concat(code, "\n")
  return text:find("^#include") or text:find("__GNUC__") or text == "#endif"
end

---@param lines string[]
---@return string? text  nil if the page does not show it
local function write_paragraph(lines)
  local section = (lines[1] or ""):match("^/%* %-+ ([%w ]+) %-+ %*/$")
  if section then
    return ("## %s\n"):format(section:sub(1, 1):upper() .. section:sub(2))
  end
  local comment, code = split_comment(lines)
  if is_frame(code) or #lines == 0 then
    return nil
  elseif #code == 0 then
    return write_comment(comment) .. "\n"
  end
  return write_declaration(comment, code)
end

-- Writes the comment at the head of the file, without the file's name.
local function write_head(lines)
  local text = write_comment((split_comment(lines)))
  return text:gsub("^[%w_]+%.h: (%l)", string.upper)
    :gsub("\n\nThe length of this file.-%.%f[%s\0]", "") .. "\n"
end

-- Writes one header: its head under a title, then its paragraphs.
local function write_header(path)
  local pages = { ("# %s\n"):format(path:match("[^/]*$")) }
  for i, lines in ipairs(split_paragraphs(read_lines(path))) do
    pages[#pages + 1] = (i == 1 and write_head or write_paragraph)(lines)
  end
  return table.concat(pages, "\n")
end

--- Makes the page of the public headers.
---@param paths string[]
---@return string markdown
function M.reference(paths)
  local pages = {}
  for i, path in ipairs(paths) do
    pages[i] = write_header(path)
  end
  return ([[
<!-- Made from the headers in core/ by `make docs`. -->

%s]]):format(table.concat(pages, "\n"))
end

return M

--- Files of addresses: one address, prefix or range a line.
--
--     192.0.2.1                   # a comment
--     192.0.2.0/24
--     2001:db8::1 - 2001:db8::ff
--
-- Blank lines and spaces do not matter; lines may end with CRLF.
-- Tested by tests/spec/address_list_spec.lua.

local core = require("kadenza.core")
local shown = require("kadenza.shown")

local M = {}

-- Limits of a file.
local MAX_BYTES <const> = 16 << 20
local MAX_LINES <const> = 1000000

local MAX_SHOWN <const> = 60 -- bytes of a wrong line in a message

--- Reads the text of a file as the list that `node:block` takes. `path` begins
--- the message about a mistake.
---@param text string
---@param path string
---@return string[]? list
---@return string? message  "PATH:LINE: …"
---@return kadenza.Code? code
function M.parse(text, path)
  local list, number = {}, 0
  text = text:gsub("^\xef\xbb\xbf", "") -- a mark of UTF-8
  for line in text:gmatch("([^\n]*)\n?") do
    number = number + 1
    if number > MAX_LINES and line ~= "" then
      return nil, ("%s: more than %d lines"):format(path, MAX_LINES),
        "KAD_ETOOBIG"
    end
    local range = line:gsub("#.*", ""):match("^%s*(.-)%s*$")
    if range ~= "" then
      if not core.is_address_range(range) then
        return nil, ("%s:%d: no address, prefix or range: '%s'"):format(path,
          number, shown.start(range, MAX_SHOWN)), "KAD_EINVAL"
      end
      list[#list + 1] = range
    end
  end
  return list
end

--- Reads a file as the list that `node:block` takes.
---@param path string
---@return string[]? list
---@return string? message  with the path, and the line of a mistake
---@return kadenza.Code? code
function M.read(path)
  local text, message, code = core.read_file(path, MAX_BYTES, "regular")
  if not text then
    return nil, message, code
  end
  return M.parse(text, path)
end

return M

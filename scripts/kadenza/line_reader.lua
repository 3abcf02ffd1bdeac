--- Reads lines of a file in bounded memory.
--
--     local reader = line_reader.new(file, 16384)
--     for line in reader:lines() do … end  -- false: a line that is longer

local M = {}

local CHUNK <const> = 65536

---@class kadenza.LineReader
---@field bytes integer  that were read
local Reader = {}
Reader.__index = Reader

--- Makes a reader of a file that is open.
---@param file file*
---@param max integer  bytes of a line
---@return kadenza.LineReader reader
function M.new(file, max)
  return setmetatable({ file = file, max = max, bytes = 0, chunk = "",
    at = 1 }, Reader)
end

-- Reads more of the file behind what is left. Returns false at the end.
local function fill(self)
  local more, message = self.file:read(CHUNK)
  if not more and message then
    error(message, 0)
  elseif not more then
    return false
  end
  self.bytes = self.bytes + #more
  self.chunk = self.chunk:sub(self.at) .. more
  self.at = 1
  return true
end

-- Reads to the end of a line that is too long.
local function skip_line(self)
  repeat
    self.at = #self.chunk + 1
    local is_more = fill(self)
    local from = is_more and self.chunk:find("\n", 1, true)
    if from then
      self.at = from + 1
    end
  until from or not is_more
end

-- Returns the next line; false if it is too long; nil at the end.
local function next_line(self)
  local is_more = true
  while true do
    local from = self.chunk:find("\n", self.at, true)
    local length = (from or #self.chunk + 1) - self.at
    if length > self.max then
      if from then
        self.at = from + 1
      else
        skip_line(self)
      end
      return false
    elseif from or not is_more then
      local line = self.chunk:sub(self.at, self.at + length - 1)
      self.at = self.at + length + 1
      return (from or line ~= "") and line or nil
    end
    is_more = fill(self)
  end
end

--- Iterates over the lines, without their newlines. Raises if the file cannot
--- be read.
---@return fun(): string|false|nil next
function Reader:lines()
  return function()
    return next_line(self)
  end
end

return M

--- The latest lines of the log, for those who look at a running node.
--
--     local ring = log_ring.new()
--     local stop = log.observe(function(event) ring:add(event, os.time()) end)
--     for _, line in ipairs(ring:after(0)) do print(line.text) end
--
-- Memory is bounded: the ring keeps 300 lines of at most 1,000 bytes each.

local log = require("kadenza.log")

local M = {}

--- How many lines are kept, and how many bytes of a line.
M.LINES = 300
M.LINE_BYTES = 1000

---@class kadenza.web.LogLine
---@field id integer  1, 2, 3 …
---@field level kadenza.Level
---@field text string  UTF-8, without control characters: time, level, message
---  and fields, as the log has them

---@class kadenza.web.LogRing
---@field last integer  id of the latest line; 0: there is none
---@field private lines kadenza.web.LogLine[]
---@field private watchers table<fun(line: kadenza.web.LogLine), true>
local LogRing = {}
LogRing.__index = LogRing
LogRing.__name = "kadenza.web.LogRing"

---@return kadenza.web.LogRing ring
function M.new()
  return setmetatable({ last = 0, lines = {}, watchers = {} }, LogRing)
end

-- Cuts a text before a character that would exceed the bound.
local function cut(text)
  if #text <= M.LINE_BYTES then
    return text
  end
  local after = utf8.offset(text, 0, M.LINE_BYTES - 2)
  return text:sub(1, after - 1) .. "…"
end

--- Adds the line of an event, and tells those that watch.
---@param event { level: string, message: string, fields: table }
---@param seconds integer  since 1970
function LogRing:add(event, seconds)
  local time = os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
  local line = { id = self.last + 1, level = event.level,
    text = cut(log.line(event, time, "text")) }
  self.last = line.id
  self.lines[self.last % M.LINES] = line
  for watcher in pairs(self.watchers) do
    watcher(line)
  end
end

--- Returns the lines that are kept and whose id is greater, oldest first.
---@param id integer
---@return kadenza.web.LogLine[] lines
function LogRing:after(id)
  local lines = {}
  for wanted = math.max(id, self.last - M.LINES, 0) + 1, self.last do
    lines[#lines + 1] = self.lines[wanted % M.LINES]
  end
  return lines
end

--- Calls `watcher` with each line that is added. It must not log.
---@param watcher fun(line: kadenza.web.LogLine)
---@return fun() stop
function LogRing:watch(watcher)
  self.watchers[watcher] = true
  return function()
    self.watchers[watcher] = nil
  end
end

return M

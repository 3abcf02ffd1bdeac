--- How far a simulation is, as one line that a terminal shows again and again.

local outcome = require("kadenza.sim.outcome")

local M = {}

local WIDTH <const> = 24 -- of the bar
local CLEAR <const> = "\r\27[K"

---@class kadenza.cli.Progress
---@field private began? number  processor time when the run began
---@field private shown boolean
local Progress = {}
Progress.__index = Progress

--- Makes one; nothing is shown yet.
---@param write fun(text: string)
---@param clock? fun(): number  seconds; the processor's time without it
---@return kadenza.cli.Progress progress
function M.new(write, clock)
  return setmetatable({ write = write, clock = clock or os.clock,
    shown = false }, Progress)
end

local function bar(share)
  local full = math.floor(share * WIDTH + 0.5)
  return "[" .. ("#"):rep(full) .. ("."):rep(WIDTH - full) .. "]"
end

local function clock_text(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60,
      seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

local function joining(net)
  local joins = net.joining
  local count = #net.nodes
  local joined = joins and count - joins.left or 0
  return ("%s joining, %d of %d nodes"):format(
    bar(joined / math.max(count, 1)), joined, count)
end

local function running(self, run)
  self.began = self.began or self.clock()
  local share = math.min(run:now() / math.max(run.seconds, 1e-9), 1)
  local taken = self.clock() - self.began
  local text = ("%s %3.0f %%  %s of %s"):format(bar(share), share * 100,
    outcome.duration(run:now()), outcome.duration(run.seconds))
  if taken > 0 and share > 0 then
    text = ("%s, %.0f times as fast as time, %s left"):format(text,
      run:now() / taken, clock_text(taken / share - taken))
  end
  return text
end

--- Shows how far a simulation is.
---@param net kadenza.Sim
---@param run? kadenza.SimRun  none while nodes join
function Progress:show(net, run)
  self.shown = true
  self.write(CLEAR .. (run and running(self, run) or joining(net)))
end

--- Takes the line away.
function Progress:clear()
  if self.shown then
    self.shown = false
    self.write(CLEAR)
  end
end

return M

--- Shows the progress of a simulation as one line on a terminal.
--- Tested by tests/spec/cli/sim_spec.lua.

local run_report = require("kadenza.sim.run_report")

local M = {}

local WIDTH <const> = 24 -- of the bar
local CLEAR <const> = "\r\27[K"

---@class kadenza.cli.Progress
---@field private began? number  processor time at the start of the run
---@field private shown boolean  the line is on the terminal
local Progress = {}
Progress.__index = Progress

--- Makes a progress line; shows nothing.
---@param write fun(text: string)
---@param clock? fun(): number  seconds; default: processor time
---@return kadenza.cli.Progress progress
function M.new(write, clock)
  return setmetatable({ write = write, clock = clock or os.clock,
    shown = false }, Progress)
end

local function bar(share)
  local full = math.floor(share * WIDTH + 0.5)
  return "[" .. ("#"):rep(full) .. ("."):rep(WIDTH - full) .. "]"
end

local function format_duration(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60,
      seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

local function joining_text(net)
  local joins = net.joining
  local count = #net.nodes
  local joined = joins and count - joins.left or 0
  return ("%s joining, %d of %d nodes"):format(
    bar(joined / math.max(count, 1)), joined, count)
end

local function running_text(self, run)
  self.began = self.began or self.clock()
  local share = math.min(run:now() / math.max(run.seconds, 1e-9), 1)
  local taken = self.clock() - self.began
  local text = ("%s %3.0f %%  %s of %s"):format(bar(share), share * 100,
    run_report.duration(run:now()), run_report.duration(run.seconds))
  if taken > 0 and share > 0 then
    text = ("%s, %.0f times real time, %s left"):format(text,
      run:now() / taken, format_duration(taken / share - taken))
  end
  return text
end

--- Shows the progress of a simulation.
---@param net kadenza.Sim
---@param run? kadenza.SimRun  nil while nodes join
function Progress:show(net, run)
  self.shown = true
  self.write(CLEAR .. (run and running_text(self, run) or joining_text(net)))
end

--- Removes the line.
function Progress:clear()
  if self.shown then
    self.shown = false
    self.write(CLEAR)
  end
end

return M

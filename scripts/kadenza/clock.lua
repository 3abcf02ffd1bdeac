--- The time that passes while a node does not run.
--
-- The wall clock of a machine may be wrong: it begins in 1970 on machines
-- without a battery, and is set by hours when the network is there. Two
-- readings of one run of the machine are compared by its own clock, which
-- cannot be set. After a restart of the machine only the wall clock is left.

local core = require("kadenza.core")

local M = {}

-- Before 2020 there was no kadenza: an earlier wall clock is wrong.
local FIRST_WALL <const> = 1577836800

---@class kadenza.Reading
---@field wall integer  seconds since 1970
---@field boot integer  seconds since the machine was started
---@field boot_id? string  of this run of the machine

--- Reads the clocks. The clock of a simulated network is that of a machine.
---@param network kadenza.core.Network
---@return kadenza.Reading reading
function M.read(network)
  if network:is_simulated() then
    return { wall = network:time(), boot = network:now() // 1 | 0,
      boot_id = ("simulated %p"):format(network) }
  end
  local boot, boot_id = core.boot()
  return { wall = network:time(), boot = boot, boot_id = boot_id }
end

-- Returns the seconds that wall clocks show, or nil if one of them is wrong.
local function wall_elapsed(before, now)
  if before.wall < FIRST_WALL or now.wall < before.wall then
    return nil
  end
  return now.wall - before.wall
end

--- Returns the seconds between two readings. Returns too few rather than too
--- many where a wall clock is wrong: 0, or those since the machine was started.
---@param before kadenza.Reading
---@param now kadenza.Reading
---@return integer seconds
function M.elapsed(before, now)
  local is_known = before.boot_id and now.boot_id
  local is_same = is_known and before.boot_id == now.boot_id
  if is_same and now.boot >= before.boot then
    return now.boot - before.boot
  end
  local since_start = is_known and not is_same and now.boot or 0
  return math.max(wall_elapsed(before, now) or 0, since_start)
end

--- Returns the seconds by which the wall clock leads the clock of the machine:
--- they change when it is set.
---@param reading kadenza.Reading
---@return integer seconds
function M.lead(reading)
  return reading.wall - reading.boot
end

return M

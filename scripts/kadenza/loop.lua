--- The default network, and how another event loop runs it.
--
-- Outside of kad.run, nodes and tasks belong to the default network, which is
-- opened when it is first used. The program runs it: with `loop.run`, or in
-- another event loop. That waits until `fd()` is readable or `timeout()`
-- seconds have passed, calls `step()`, and reads the timeout again:
--
--     local kad = require("kadenza")
--     local uv = require("luv")
--
--     local poll, timer = uv.new_poll(kad.loop.fd()), uv.new_timer()
--     local function turn()
--       kad.loop.step()
--       local seconds = kad.loop.timeout()
--       if seconds then
--         timer:start(math.ceil(seconds * 1000), 0, turn)
--       end
--     end
--     poll:start("r", turn)
--
--     kad.spawn(function()
--       kad.sleep(0.1)
--       print("slept")
--       uv.stop()
--     end)
--     turn() -- sets the timer, for which the task waits
--     uv.run()

local core = require("kadenza.core")

local M = {}

--- A network: nodes, a clock and a transport of datagrams. Times are in
--- milliseconds, except for `now` and `time`. A policy has only now, time,
--- random, start_timer, stop_timer and resolve.
---@class kadenza.core.Network
---@field now fun(self): number  seconds of its clock
---@field time fun(self): integer  seconds since 1970 UTC
---@field random fun(self, count: integer): string
---@field start_timer fun(self, ms: integer, fn: fun()): integer
---@field stop_timer fun(self, timer: integer): boolean  false if it had fired
---@field resolve fun(self, name: string, fn: fun(addresses: string[]?,
---  message?: string, code?: string)): true?, string?, kadenza.Code?
---@field on_signal fun(self, name: "SIGINT"|"SIGTERM"|"SIGHUP"|"SIGUSR1",
---  fn: fun()): true?, string?, kadenza.Code?
---@field watch fun(self, fd: integer, mode: "r"|"w"|"rw"|"",
---  fn: fun(readable: boolean, writable: boolean)): integer?, string?,
---  kadenza.Code?  calls fn in each turn in which the descriptor is ready, as
---  kad_network_watch; returns the number of the watch
---@field change_watch fun(self, watch: integer, mode: "r"|"w"|"rw"|""): boolean
---  false if it has ended, or failed
---@field end_watch fun(self, watch: integer): boolean  before the descriptor is
---  closed; false if it had ended
---@field run fun(self, ms?: integer)  until `stop`, or for so long
---@field step fun(self)  does the work that is due, without waiting
---@field stop fun(self)
---@field fd fun(self): integer?
---@field timeout fun(self): integer?
---@field trace_hash fun(self): string
---@field set_group fun(self, node: kadenza.core.Node, group: integer)  in
---  virtual time, as all up to `stats`: groups cannot reach each other
---@field heal fun(self)  moves all nodes into group 0
---@field set_bandwidth fun(self, node: kadenza.core.Node,
---  bytes_per_s: integer)  datagrams above it are queued; 0: without limit
---@field set_clock fun(self, node: kadenza.core.Node, drift_ppm: integer,
---  wall_offset: integer)  gain of its clock, and seconds that its wall clock
---  is ahead
---@field suspend fun(self, node: kadenza.core.Node, clock_stands?: boolean)
---  it does and receives nothing until `resume`
---@field resume fun(self, node: kadenza.core.Node)
---@field move fun(self, node: kadenza.core.Node,
---  addresses: string[]): true?, string?, kadenza.Code?
---@field set_nat fun(self, node: kadenza.core.Node,
---  kind: "open"|"full_cone"|"restricted"|"port_restricted"|"symmetric",
---  options?: { idle: integer?, outer: string? }): true?, string?,
---  kadenza.Code?  seconds after which a mapping ends, and the NAT's ip: as
---  struct kad_sim_nat
---@field set_behaviour fun(self, node: kadenza.core.Node,
---  name: kadenza.Behaviour,
---  options?: { key: string?, rate: integer? })  as enum kad_sim_behaviour
---@field trace fun(self, fn?: fun(fate: string, from: string, to: string,
---  bytes: string))  of every datagram, at its arrival
---@field kill fun(self, node: kadenza.core.Node)  ends it like a crash: no
---  callback of its operations is called
---@field stats fun(self): table<string, integer>  as struct kad_sim_stats
---@field is_simulated fun(self): boolean
---@field is_open fun(self): boolean
---@field close fun(self)

-- The default network of this Lua state.
local default

--- Returns the default network.
---@return kadenza.core.Network network
function M.network()
  if not (default and default:is_open()) then
    if not core.udp then
      error("there is no network while a policy file is loaded: call this in "
        .. "on_start, a hook or a task", 0)
    end
    default = assert(core.udp())
  end
  return default
end

--- Makes `network` the default one, and returns the one before. With nil, a new
--- one is opened when it is needed.
---@param network? kadenza.core.Network
---@return kadenza.core.Network? before
function M.use(network)
  local before = default
  default = network
  return before
end

--- Returns the file descriptor that becomes readable when there is work, or nil
--- if the system has none.
---@return integer? fd
function M.fd()
  return M.network():fd()
end

--- Returns the seconds after which `step` must be called in any case, or nil
--- for never. The value is valid until the next step or the start of an
--- operation, task or timer.
---@return number? seconds
function M.timeout()
  local ms = M.network():timeout()
  return ms and ms / 1000
end

--- Does the work that is due, without waiting.
function M.step()
  M.network():step()
end

--- Runs the default network for `seconds`, or without them until loop.stop.
---@param seconds? number
function M.run(seconds)
  require("kadenza.task").check_outside(M.network(), 2)
  M.network():run(seconds and math.ceil(seconds * 1000))
end

--- Ends loop.run.
function M.stop()
  M.network():stop()
end

--- Cancels the tasks of the default network, and closes it and its nodes.
function M.close()
  if not (default and default:is_open()) then
    default = nil
    return
  end
  local task = require("kadenza.task") -- task requires this module
  task.check_outside(default, 2)
  local network <close> = default
  task.finish(network)
  default = nil
end

return M

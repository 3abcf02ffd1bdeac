--- The sockets that a service manager has bound and handed over, as systemd
--- does with a .socket unit (sd_listen_fds(3)).

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")

local M = {}

local FIRST <const> = 3 -- behind the standard streams
local MAX <const> = 8 -- that a node can use

---@class kadenza.cli.Inherited
---@field sockets integer[]  descriptors
---@field addresses string[]  that they are bound to

-- Returns the names of the sockets, as "a:b" lists them.
local function split_names(text)
  local names = {}
  for name in ((text or "") .. ":"):gmatch("([^:]*):") do
    names[#names + 1] = name ~= "" and name or "unknown"
  end
  return names
end

-- Returns the number of sockets that the variables name; 0 if they are for
-- another process. Removes them.
local function take_variables()
  local pid = core.take_variable("LISTEN_PID")
  local count = core.take_variable("LISTEN_FDS")
  local names = split_names(core.take_variable("LISTEN_FDNAMES"))
  if not pid or not count or math.tointeger(tonumber(pid)) ~= host.pid() then
    return 0, names
  end
  local number = count:find("^%d+$") and math.tointeger(tonumber(count))
  if not number or number > MAX then
    fault.misuse("LISTEN_FDS must be an integer from 0 to %d, not '%s'", MAX,
      count)
  end
  return number, names
end

--- Takes the sockets. Raises a fault if a node cannot use one of them.
---@return kadenza.cli.Inherited? inherited  nil: there are none
function M.take()
  local count, names = take_variables()
  local sockets, addresses = {}, {}
  for i = 1, count do
    sockets[i] = FIRST + i - 1
    core.close_on_exec(sockets[i])
  end
  for i, fd in ipairs(sockets) do
    local address, problem = core.inherited_socket(fd)
    if not address then
      fault.misuse("LISTEN_FDS: descriptor %d (%s) %s", fd,
        names[i] or "unknown", problem)
    end
    addresses[i] = address
  end
  return count > 0 and { sockets = sockets, addresses = addresses } or nil
end

return M

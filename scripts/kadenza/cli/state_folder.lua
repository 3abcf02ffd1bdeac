--- The state folder of a node that runs without --state: one for each listening
--- address, in the folder that the user's programs keep their state in.
--
-- Two nodes cannot listen on one address, so that each has a folder of its own.
-- A node with a free port (0) has no folder: it could not find it again.

local core = require("kadenza.core")

local M = {}

-- Returns the folder for the state of the user's programs, or nil. (XDG Base
-- Directory Specification)
local function base_folder()
  local base = os.getenv("XDG_STATE_HOME")
  if base and base:sub(1, 1) == "/" then
    return base
  end
  local home = os.getenv("HOME")
  return home and home:sub(1, 1) == "/" and home .. "/.local/state" or nil
end

--- Returns the folder in which the default folders are, or nil.
---@return string? folder
function M.base()
  local base = base_folder()
  return base and base .. "/kadenza"
end

--- Returns the folder of a node that listens on `address`, or nil if it has
--- none.
---@param address string  "ip:port"
---@return string? folder
function M.default(address)
  local base = M.base()
  if not base or address:find(":0$") then
    return nil
  end
  return base .. "/" .. address
end

--- Makes the folder in which the default folders are. Returns nil, a message
--- and a code on failure.
---@param folder string  of `default`
---@return true? made
---@return string? message
---@return kadenza.Code? code
function M.make_parents(folder)
  local parents = {}
  local parent = folder:match("^(.+)/[^/]+$")
  while parent and not core.exists(parent) do
    table.insert(parents, 1, parent)
    parent = parent:match("^(.+)/[^/]+$")
  end
  for _, path in ipairs(parents) do
    local made, message, code = core.make_folder(path, "private")
    if not made then
      return nil, message, code
    end
  end
  return true
end

return M

--- Files of a state folder that are corrupt get other names: nothing is lost,
--- and the node starts without them.
--- Tested by tests/spec/state_folder_spec.lua.

local core = require("kadenza.core")
local log = require("kadenza.log")

local M = {}

-- Copies of corrupt files that are kept, the newest without a number.
local MAX_ASIDE <const> = 8

local function aside_name(path, number)
  return number == 1 and path .. ".corrupt"
    or ("%s.corrupt.%d"):format(path, number)
end

-- Renames a file. On failure returns nil, a message and the error's number.
local function rename(from, to)
  local renamed, message, errno = os.rename(from, to)
  if not renamed then
    return nil, ("%s: rename to %s: %s"):format(from, to, message), errno
  end
  return true
end

-- Renames the copies of corrupt files; the oldest of MAX_ASIDE is lost. Returns
-- the free name, or nil and a message.
local function make_room(path)
  for number = MAX_ASIDE - 1, 1, -1 do
    local renamed, message, errno =
      rename(aside_name(path, number), aside_name(path, number + 1))
    if not renamed and errno ~= 2 and number == 1 then -- 2: ENOENT
      return nil, message
    end
  end
  return aside_name(path, 1)
end

--- Sets a corrupt file aside, as a copy if `bytes` of it stay in use. Returns
--- the new name.
---@param path string
---@param bytes? string
---@return string? name
---@return string? message
---@return kadenza.Code? code
function M.set(path, bytes)
  local aside, problem = make_room(path)
  if not aside then
    return nil, problem, "KAD_ESYSTEM"
  end
  local done, message, code
  if bytes then
    done, message, code = core.write_file(aside, bytes, "private")
  else
    done, message = rename(path, aside)
  end
  if not done then
    return nil, message, type(code) == "string" and code or "KAD_ESYSTEM"
  end
  return aside
end

--- Logs that a file is corrupt.
---@param path string
---@param aside string  its new name
---@param why string
function M.log_corrupt(path, aside, why)
  log.warn("the saved state is corrupt and was set aside",
    { file = path, aside = aside, error = why })
end

--- Logs that parts of a file are invalid.
---@param path string
---@param aside string  the name of the copy
---@param damage kadenza.Damage
---@param kept integer  number of what is valid
function M.log_damage(path, aside, damage, kept)
  log.warn("parts of the saved state are invalid and were set aside", {
    file = path,
    aside = aside,
    error = damage.error,
    invalid = damage.count,
    kept = kept,
  })
end

return M

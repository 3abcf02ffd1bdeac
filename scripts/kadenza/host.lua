--- What kadenza's scripts need of the program that runs them: the process, and
--- sources, which are built into the program `kadenza`, or are files of an
--- installation, a rock or this source tree.
--
--     host.source("kadenza.task")            -- the text of a module
--     host.source("policies/counter.lua")    -- of a policy that ships
--
--- Tested by tests/spec/host_spec.lua.

local core = require("kadenza.core")

local M = {
  is_terminal = core.is_terminal,
  pid = core.pid,
  quit = core.quit,
}

--- The policies and scenarios that ship, by their paths below scripts/.
M.SHIPPED = {
  "policies/blob.lua", "policies/chat.lua", "policies/counter.lua",
  "policies/pkarr.lua", "policies/pubsub.lua", "policies/registry.lua",
  "scenarios/churn.lua", "scenarios/flash_crowd.lua", "scenarios/lossy.lua",
  "scenarios/mobile.lua", "scenarios/nats.lua", "scenarios/partition.lua",
  "scenarios/restart.lua", "scenarios/steady.lua", "scenarios/sybil.lua",
}

-- Where they are, seen from the folder that contains kadenza/host.lua.
local PLACES <const> = {
  "kadenza/", -- a rock
  "", -- the source tree
  "../../kadenza/", -- `make install`: share/kadenza beside share/lua/5.4
}

-- The functions of the program `kadenza`; false in another program.
local BUILT_IN <const> = package.preload["kadenza.built_in"]
  and require("kadenza.built_in")

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

-- Returns the folder that contains kadenza/host.lua; ends with '/'.
local function find_root()
  local path = package.searchpath("kadenza.host", package.path)
  return path and path:match("^(.*)kadenza/host%.lua$")
end

local function read_shipped(name)
  local root = find_root()
  for _, place in ipairs(root and PLACES or {}) do
    local text = read(root .. place .. name)
    if text then
      return text
    end
  end
  return nil
end

--- Returns the text of a module, or of a policy or scenario that ships.
---@param name string
---@return string? text  nil if there is none
function M.source(name)
  local text = BUILT_IN and BUILT_IN.source(name)
  if text then
    return text
  elseif name:find("/", 1, true) then
    return read_shipped(name)
  end
  local path = package.searchpath(name, package.path)
  return path and read(path)
end

--- Returns the names of the scripts that are built into the program; those that
--- ship in another program.
---@return string[]
function M.scripts()
  return BUILT_IN and BUILT_IN.scripts() or M.SHIPPED
end

--- Returns the names of what ships, without folder and ending.
---@param kind "policies"|"scenarios"
---@return string[]
function M.shipped(kind)
  local names = {}
  for _, path in ipairs(M.SHIPPED) do
    names[#names + 1] = path:match("^" .. kind .. "/([%w_]+)%.lua$")
  end
  return names
end

--- Returns the text of a policy that ships.
---@param name any  such as "counter"
---@return string? text  nil if none has this name
function M.policy(name)
  for _, shipped in ipairs(M.shipped("policies")) do
    if shipped == name then
      return M.source("policies/" .. name .. ".lua")
    end
  end
  return nil
end

--- Returns the program's name, as it was called.
---@return string
function M.program()
  return BUILT_IN and BUILT_IN.program() or "kadenza"
end

return M

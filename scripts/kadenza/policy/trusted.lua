--- The environment of a trusted policy file: the whole standard library and
--- every module that the program can require.
--
-- Other files of the node have environments of their own and get none of it. A
-- trusted file can remove its budgets.

local core = require("kadenza.core")

local M = {}

local PREFIX <const> = "kadenza"

-- The sandbox's versions of these remain: they keep the budgets.
local METERED <const> = { pcall = true, xpcall = true, coroutine = true }

-- Adds loaders that give a chunk the environment of the file. Lua's own ones
-- would give it the globals of the host.
local function add_loaders(globals, environment)
  function globals.load(chunk, name, mode, ...)
    if select("#", ...) > 0 then
      return load(chunk, name, mode, ...)
    end
    return load(chunk, name, mode, environment)
  end

  function globals.loadfile(path, mode, ...)
    if select("#", ...) > 0 then
      return loadfile(path, mode, ...)
    end
    return loadfile(path, mode, environment)
  end

  function globals.dofile(path)
    return assert(loadfile(path, nil, environment))()
  end
end

-- Tells whether there is something of this name, readable or not.
local function exists(path)
  local text, _, is_missing = core.read_source(path)
  return text ~= nil or not is_missing
end

-- Returns a `require` that finds kadenza's modules and those beside the file
-- first, as for every policy.
local function make_require(confined, folder)
  return function(name)
    local beside = folder .. tostring(name):gsub("%.", "/") .. ".lua"
    if name == PREFIX or tostring(name):find("^" .. PREFIX .. "%.")
      or exists(beside)
    then
      return confined(name)
    end
    return require(name)
  end
end

--- Adds the globals of a trusted policy to those of a policy.
---@param globals table
---@param environment table  of the file
---@param folder string  of the file; ends with '/' or is empty
function M.extend(globals, environment, folder)
  local confined = globals.require
  for name, value in pairs(_G) do
    if not METERED[name] or rawget(globals, name) == nil then
      globals[name] = value
    end
  end
  globals._G = environment
  globals.require = make_require(confined, folder)
  add_loaders(globals, environment)
end

return M

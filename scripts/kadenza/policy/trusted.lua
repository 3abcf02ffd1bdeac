--- What a trusted policy file sees: the whole standard library, and every
--- module that the program can require.
--
-- Nothing of it reaches the other files of the node, whose environments are
-- their own. Budgets hold as far as the file lets them: it can take them off.

local core = require("kadenza.core")

local M = {}

local PREFIX <const> = "kadenza"

-- What of the sandbox stays, so that budgets hold.
local METERED <const> = { pcall = true, xpcall = true, coroutine = true }

-- The globals that Lua's own functions would give a chunk are those of the
-- host: a chunk of the file gets the file's.
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

local function exists(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

-- kadenza's modules and those beside the file come first, as for every policy.
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

--- Opens the whole standard library in this state, for files that are trusted.
---@param path string  package.path and package.cpath of the program
---@param cpath string
function M.open(path, cpath)
  core.open_standard(path, cpath)
end

--- Adds to the globals of a policy what a trusted one has beside them.
---@param globals table
---@param environment table  of the file
---@param folder string  of the file, which ends with '/' or is empty
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

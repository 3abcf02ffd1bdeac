--- kadenza new: makes a folder to begin a policy with.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local host = require("kadenza.host")
local sandbox = require("kadenza.sandbox")
local sorted = require("kadenza.sorted")
local template = require("kadenza.cli.template")

local MAX_NAME <const> = 24

-- Types of the core, and words of Lua: a table cannot have them as plain keys.
local TAKEN <const> = { peers = true, value = true, immutable = true,
  mutable = true }
local WORDS <const> = {}
for word in ([[and break do else elseif end false for function goto if in local
  nil not or repeat return then true until while]]):gmatch("%a+") do
  WORDS[word] = true
end

local M = {
  summary = "Begin a policy of your own.",
  description = "Makes a folder with a policy, its tests, a README and the "
    .. "settings of busted, luacheck and editors, ready to be run and changed. "
    .. "What is there is never overwritten.",
  usage = "policy NAME",
  example = "new policy guestbook",
  settings = { flags = { "json" }, variables = { "json" } },
}

function M.arguments(command)
  command:argument("kind", "What to make: policy.")
  command:argument("name", "Its name: a-z, 0-9 and _, a letter first.")
  return {
    command:option("--folder", "Where to make it. Default: NAME.")
      :argname("DIR"),
  }
end

local function check_name(name)
  if not name:find("^[a-z][a-z0-9_]*$") or #name > MAX_NAME then
    fault.misuse("NAME must be 1 to %d of a-z, 0-9 and _, a letter first, not "
      .. "'%s'", MAX_NAME, name)
  elseif TAKEN[name] then
    fault.misuse("NAME must not be '%s', a type of the core", name)
  elseif WORDS[name] then
    fault.misuse("NAME must not be '%s', a word of Lua", name)
  end
end

---------------------------------------------------------------- settings --

-- The globals of the sandbox, as lines of .luacheckrc.
local function list_globals()
  local libraries = { math = true, string = true, table = true,
    coroutine = true, utf8 = true }
  local lines = {}
  for i, name in ipairs(sandbox.GLOBALS) do
    lines[i] = libraries[name]
      and ("    %s = { other_fields = true },"):format(name)
      or ('    "%s",'):format(name)
  end
  return table.concat(lines, "\n")
end

-- Where the annotated sources are on this machine, or nil. A path that is not
-- absolute would mean another place there.
local function find_library()
  local path = package.searchpath("kadenza.policy.types", package.path)
  return path and path:match("^(/.*)/kadenza/policy/types%.lua$")
end

-- An interpreter for busted, which may run on another Lua otherwise.
local function find_lua()
  for folder in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    local path = folder .. "/lua5.4"
    local file = io.open(path, "rb")
    if file then
      file:close()
      return path
    end
  end
  return "lua5.4"
end

-- Adds copies of the annotated sources for an editor.
local function add_library(files)
  for _, name in ipairs(host.scripts()) do
    if name == "kadenza" or name:find("^kadenza%.[%w_.]+$")
      and not name:find("^kadenza%.cli")
    then
      local path = name == "kadenza" and "kadenza/init.lua"
        or name:gsub("%.", "/") .. ".lua"
      files[".luals/" .. path] = host.source(name)
    end
  end
end

-- Returns the files of a policy: path → text.
local function make_files(name)
  local library = find_library()
  local values = {
    NAME = name,
    LUA = find_lua(),
    LIBRARY = library or ".luals",
    GLOBALS = list_globals(),
  }
  local function fill(text)
    return (text:gsub("%f[%w]%u%u%u+%f[^%u]", values))
  end
  local files = {
    [name .. ".lua"] = fill(template.policy),
    [name .. "_spec.lua"] = fill(template.spec),
    ["README.md"] = fill(template.readme),
    [".busted"] = fill(template.busted),
    [".luacheckrc"] = fill(template.luacheckrc),
    [".luarc.json"] = fill(template.luarc),
  }
  if not library then
    add_library(files)
  end
  return files
end

----------------------------------------------------------------- writing --

local function exists(path)
  local file = io.open(path, "rb")
  return file and file:close() or false
end

local function write(path, text)
  local folder = path:match("^(.*)/")
  local made, message, code = core.make_folder(folder)
  if made then
    made, message, code = core.write_file(path, text)
  end
  if not made then
    fault.failed(message, code)
  end
end

function M.run(args)
  if args.kind ~= "policy" then
    fault.misuse("only a policy can be made, not '%s': kadenza new policy NAME",
      args.kind)
  end
  check_name(args.name)
  local folder = args.folder or args.name
  if exists(folder) then
    fault.failed(folder .. " exists and is left as it is")
  end
  local files = make_files(args.name)
  local names = sorted(files)
  for _, name in ipairs(names) do
    write(folder .. "/" .. name, files[name])
  end
  return { folder = folder, files = names },
    ("made %s. Next:\n  cd %s\n  busted\n  kadenza check %s.lua\n"):format(
      folder, folder, args.name)
end

return M

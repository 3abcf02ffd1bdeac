--- kadenza new: makes a folder with a new policy.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local file = require("kadenza.cli.file")
local host = require("kadenza.host")
local input = require("kadenza.cli.input")
local layout = require("kadenza.cli.layout")
local lexer = require("kadenza.lexer")
local sandbox = require("kadenza.sandbox")
local sorted = require("kadenza.sorted")
local template = require("kadenza.cli.template")

local MAX_NAME <const> = 24

-- Names of types of the core.
local RESERVED <const> = { peers = true, value = true, immutable = true,
  mutable = true }

local M = {
  summary = "Make a new policy.",
  description = "Makes a folder with a policy, its tests, a README and the "
    .. "settings of busted, luacheck and editors, ready to run and change. "
    .. "Never overwrites anything.",
  usage = "policy NAME",
  example = "new policy guestbook",
  settings = { flags = { "json" }, variables = { "json" } },
}

function M.arguments(command)
  command:argument("kind", "What to make: policy.")
  command:argument("name", "Its name: a-z, 0-9 and _, first a letter.")
  return {
    command:option("--folder", "Folder to make. Default: NAME.")
      :argname("DIR"),
  }
end

local function check_name(name)
  if not name:find("^[a-z][a-z0-9_]*$") or #name > MAX_NAME then
    fault.misuse("NAME must be 1 to %d of a-z, 0-9 and _, first a letter, not "
      .. "%s", MAX_NAME, input.shown(name))
  elseif RESERVED[name] then
    fault.misuse("NAME must not be '%s', a type of the core", name)
  elseif lexer.KEYWORDS[name] then -- it cannot be a plain key of a table
    fault.misuse("NAME must not be '%s', a keyword of Lua", name)
  end
end

-- Returns the globals of the sandbox as lines of .luacheckrc.
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

-- Returns the absolute path of the folder of annotated sources on this machine,
-- or nil.
local function find_library()
  local path = package.searchpath("kadenza.policy.types", package.path)
  return path and path:match("^(/.*)/kadenza/policy/types%.lua$")
end

-- Returns the path of a Lua 5.4 interpreter: busted may use another version.
local function find_lua()
  for folder in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    local path = folder .. "/lua5.4"
    if core.exists(path) then
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

-- Returns the texts of the files of a policy, by path.
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

function M.run(args)
  if args.kind ~= "policy" then
    fault.misuse("only a policy can be made, not %s: kadenza new policy NAME",
      input.shown(args.kind))
  end
  check_name(args.name)
  local folder = fault.checked("--folder",
    input.path(args.folder or args.name))
  file.check_absent(folder)
  local files = make_files(args.name)
  local names = sorted(files)
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name
    file.make_folder(path:match("^(.*)/"))
    file.write(path, files[name])
  end
  return { folder = folder, files = names },
    ("made %s. Next:\n  cd %s\n  busted\n  kadenza check %s.lua\n"):format(
      folder, layout.shell_word(folder), args.name)
end

return M

--- What a policy can call, as the sandbox has it now: a function that is added
--- to the sandbox is attacked from then on.
--
--     local names = allowed.functions() --> { "assert", "kad.key", … }

local facade = require("kadenza.policy.facade")
local sandbox = require("kadenza.sandbox")
local testing = require("kadenza.testing")

local M = {}

-- A policy that replies the names of the functions in a table that it has.
local LISTING <const> = [[
  local kad = require("kadenza")
  local function list(value, name, names)
    if type(value) == "function" then
      names[#names + 1] = name
    elseif type(value) == "table" then
      for field, item in pairs(value) do
        if type(field) == "string" and field:find("^[%a_][%w_]*$") then
          list(item, name .. "." .. field, names)
        end
      end
    end
    return names
  end
  return { rpc = { list = function()
    return { names = list(WHAT, "NAME", {}) }
  end } }
]]

local function names_of(what, name)
  local folder = os.tmpname()
  local file <close> = assert(io.open(folder, "w"))
  file:write((LISTING:gsub("WHAT", what):gsub("NAME", name)))
  file:flush()
  local policy <close> = assert(testing.load(folder))
  os.remove(folder)
  return assert(policy:call("rpc.list", {}).reply).names
end

local function add(names, more)
  return table.move(more, 1, #more, #names + 1, names)
end

--- Returns the names of all functions of a policy, sorted: of its globals, of
--- `kad` and of the libraries, which a program binds to locals such as `limit`.
---@return string[] names
function M.functions()
  local names = {}
  for _, global in ipairs(sandbox.GLOBALS) do
    add(names, names_of(global, global))
  end
  add(names, names_of("kad", "kad"))
  for _, library in ipairs(sandbox.LIBRARIES) do
    add(names, names_of(('require("kadenza.%s")'):format(library),
      M.local_name(library)))
  end
  table.sort(names)
  return names
end

--- Returns the name of the local variable that has a library.
---@param library string  such as "crdt.kind"
---@return string name
function M.local_name(library)
  return (library:gsub("%.", "_"))
end

--- Returns the methods of the nodes that policies have.
---@return string[] names
function M.node_methods()
  return add({ "close", "reload" }, facade.NODE)
end

--- Returns the locals that a program needs for the names in it.
---@param text string
---@return string head
function M.head(text)
  local lines = { 'local kad = require("kadenza")' }
  for _, library in ipairs(sandbox.LIBRARIES) do
    local name = M.local_name(library)
    if text:find("%f[%w_]" .. name .. "%.") then
      lines[#lines + 1] = ('local %s = require("kadenza.%s")'):format(name,
        library)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return M

--- The functions and methods of the Lua library that its reference documents: a
--- new one is attacked from the day on which it is documented.

local kad = require("kadenza")

local M = {}

local REFERENCE <const> = "docs/reference/lua.md"

--- The kinds of objects whose methods are called.
M.OBJECTS = { "node", "task", "net", "network", "kad" }

-- What is not called, and why. The functions of the libraries (kadenza.blob and
-- so on) run in policies: tests/attack/policies.lua calls them.
local LEFT_OUT <const> = {
  ["kad.loop.run"] = true, -- runs without end
  ["kad.loop.close"] = true, -- closes the loop that later cases use
  ["kad.loop.step"] = true, -- runs what the callbacks of the case do wrong
  ["kad.loop.use"] = true, -- takes the simulation from the case
  ["network:run"] = true, -- runs without end
  ["network:step"] = true, -- runs what the callbacks of the case do wrong
  ["kad.run"] = true, -- runs without end what the callbacks do wrong
  ["kad.log.configure"] = true, -- the case has the log
  ["kad.log.restore"] = true,
}

-- Options of a node that only this machine reaches.
local LOCAL <const> = { listen = { "127.0.0.1:0" }, bootstrap = {} }

-- Numbers that would only take long.
local MOST <const> = { ["net:run"] = 100, ["net:join"] = 5, ["net:sybils"] = 5,
  ["kad.sim"] = 20, ["net:every"] = 100,
  ["net:churn"] = 100, ["net:hostile"] = 5 }

-- Replaces large numbers, also those in tables.
local function bound(most, item, depth)
  if type(item) == "number" and item > most then
    return most
  elseif type(item) == "table" and not getmetatable(item) and depth < 3 then
    for key, value in pairs(item) do
      item[key] = bound(most, value, depth + 1)
    end
  end
  return item
end

local function bounded_by(most)
  return most and function(arguments)
    for i = 1, arguments.n do
      arguments[i] = bound(most, arguments[i], 0)
    end
    return arguments
  end
end

-- Keeps a node of a call away from other machines.
local function confine(arguments)
  if type(arguments[1]) == "table" and not getmetatable(arguments[1]) then
    for name, item in pairs(LOCAL) do
      arguments[1][name] = item
    end
    return arguments
  end
  return { n = 1, LOCAL }
end

local CONFINED <const> = { ["kad.node"] = confine }

-- Adds a function, such as kad.bencode.encode.
local function add_function(calls, name)
  local fn = kad
  for part in name:sub(5):gmatch("[%w_]+") do
    fn = type(fn) == "table" and fn[part] or nil
  end
  if type(fn) == "function" and not LEFT_OUT[name] then
    table.insert(calls, { name = name,
      bound = CONFINED[name] or bounded_by(MOST[name]),
      find = function() return fn end })
  end
end

-- Adds a method. It is looked up in the object, which is the first argument.
local function add_method(calls, object, method)
  local name = object .. ":" .. method
  if LEFT_OUT[name] then
    return
  end
  table.insert(calls, { name = name, object = object,
    bound = bounded_by(MOST[name]),
    find = function(arguments)
      local found, fn = pcall(function()
        return arguments[1][method]
      end)
      return found and type(fn) == "function" and fn or nil
    end })
end

local function add_heading(calls, line)
  local name = line:match("^### (kad[%w_.]+)%(")
  local object, method = line:match("^### (%l+):([%w_]+)%(")
  if name then
    add_function(calls, name)
  elseif object == "node" or object == "task" or object == "net" then
    add_method(calls, object, method)
  end
end

--- Returns the calls, in the order of the reference. Each has `name`, for a
--- method `object`, `find(arguments)`, which returns the function, and may have
--- `bound(arguments)`, which keeps them from taking long.
---@return table[] calls
function M.calls()
  local calls, section = {}, nil
  for line in io.lines(REFERENCE) do
    section = line:match("^## (.*)") or section
    local field = line:match("^%- `([%w_]+)`: %[?`fun%(self")
    if field and section == "kadenza.core.Network" then
      add_method(calls, "network", field)
    else
      add_heading(calls, line)
    end
  end
  for _, name in ipairs({ "kad.bencode.encode", "kad.bencode.decode" }) do
    add_function(calls, name)
  end
  assert(#calls > 100, "the reference has changed its form")
  return calls
end

return M

--- What a text at a console may be continued with: names of globals, fields
--- and methods.
--
-- Tables are read without metamethods, so that nothing of a script runs.
--
-- Tested by tests/spec/policy/prompt_spec.lua.

local facade = require("kadenza.policy.facade")
local sandbox = require("kadenza.sandbox")

local M = {}

local MAX_WORDS <const> = 200
local MAX_READ <const> = 10000 -- names of a table that are looked at
local NAME <const> = "^[%a_][%w_]*$"

-- Without methods of strings: policies pay for them.

-- Returns the names that a value has, as a table of which the keys count.
local function names_of(value)
  local methods = value ~= nil and facade.methods_of(value)
  if methods then
    return methods
  end
  return type(value) == "table" and sandbox.inside(value) or nil
end

-- Returns what the path `parts` from the globals leads to; nil: nothing.
local function follow(scopes, parts)
  local value
  for i, name in ipairs(parts) do
    if i == 1 then
      for _, scope in ipairs(scopes) do
        value = rawget(scope, name)
        if value ~= nil then
          break
        end
      end
    else
      value = type(value) == "table" and rawget(sandbox.inside(value), name)
    end
    if value == nil then
      return nil
    end
  end
  return value
end

-- Adds the names of `scope` that begin with `start` to a list.
local function add_names(list, seen, scope, start)
  local read = 0
  for name in next, scope do
    read = read + 1
    if read > MAX_READ or #list >= MAX_WORDS then
      return
    elseif type(name) == "string" and string.find(name, NAME)
      and string.sub(name, 1, #start) == start and not seen[name]
    then
      seen[name] = true
      list[#list + 1] = name
    end
  end
end

-- Splits the end of a text: the names before the last one, the separator before
-- that, and its start.
local function split(text)
  local before, separator, start =
    string.match(string.match(text, "[%w_.:]*$"), "^(.-)([.:]?)([%w_]*)$")
  local parts = {}
  for name in string.gmatch(before, "[%w_]+") do
    parts[#parts + 1] = name
  end
  return parts, separator, start
end

--- Returns what the end of a text may be replaced with, in order, and where
--- that end begins.
---@param text string  such as "node:ge"
---@param environment table  what was assigned
---@param globals table  what is always there
---@return string[] words  such as { "get", "get_peers" }
---@return integer start  the place in the text of the first byte to replace
function M.of(text, environment, globals)
  local parts, separator, start = split(text)
  local scopes, words, seen = { environment, globals }, {}, {}
  if separator ~= "" then
    local value = #parts > 0 and follow(scopes, parts)
    scopes = value and { names_of(value) } or {}
  end
  for _, scope in ipairs(scopes) do
    add_names(words, seen, scope, start)
  end
  table.sort(words)
  return words, #text - #start + 1
end

return M

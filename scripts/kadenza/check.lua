--- Checks the arguments and the tables of options that a caller passes.
--
--     local OPTIONS <const> = {
--       parallel = { kind = "integer", from = 1, to = 64, default = 8 },
--       cache = "table",
--     }
--     local checked = check.with_defaults(given, 2, OPTIONS)
--
-- A mistake raises an error. `level` is that of `error`, as seen from the
-- function that calls the check: 2 is its caller. Policy libraries run a copy
-- of this module in the environment of their policy.

local M = {}

--- What an option may be: a kind alone, or a table of rules.
---@class kadenza.OptionRule
---@field kind? string  a type of Lua, or "integer"; without one, any value
---@field is? fun(value: any): boolean  instead of a kind
---@field name? string  what `is` requires, for messages: "a list of nodes"
---@field choices? string[]  the strings that it may be; a boolean may stand for
---  "on" and "off"
---@field from? number  smallest number
---@field to? number  largest number
---@field bytes? integer[]  length of a string: least, most
---@field required? boolean|string  it must be given; a text says what it is
---@field default? any

local function is_of_kind(value, kind)
  return kind == "integer" and math.type(value) == kind or type(value) == kind
end

local function with_article(kind)
  return (kind == "integer" and "an " or "a ") .. kind
end

-- Returns what is wrong with the length of a string, or nil.
local function find_length_problem(value, bytes)
  local least, most = bytes[1], bytes[2]
  if #value >= least and #value <= most then
    return nil
  elseif least == most then
    return string.format("must have %d bytes, not %d", least, #value)
  end
  return string.format("must have %d to %d bytes, not %d", least, most, #value)
end

-- Returns what is wrong with a choice of a string, or nil.
local function find_choice_problem(value, choices)
  local name = value
  if type(value) == "boolean" then
    name = value and "on" or "off"
  end
  for _, choice in ipairs(choices) do
    if name == choice then
      return nil
    end
  end
  return string.format("must be %s or %s, not %s",
    table.concat(choices, ", ", 1, #choices - 1), choices[#choices],
    type(value) == "string" and string.format("%q", value) or type(value))
end

-- Returns what is wrong with a value, or nil.
local function find_problem(value, rule)
  local kind = rule.kind
  if rule.choices then
    return find_choice_problem(value, rule.choices)
  elseif rule.is and not rule.is(value) then
    return "must be " .. rule.name .. ", not " .. type(value)
  elseif kind and not is_of_kind(value, kind) then
    return "must be " .. with_article(kind) .. ", not " .. type(value)
  elseif rule.from and not (value >= rule.from and value <= rule.to) then
    return string.format("must be in %s to %s", rule.from, rule.to)
  end
  return rule.bytes and find_length_problem(value, rule.bytes)
end

local function check_table(given, level)
  if type(given) ~= "table" then
    error("options must be a table, not " .. type(given), level + 1)
  end
end

local function check_option(name, value, rule, level)
  if rule == nil then
    error("unknown option '" .. tostring(name) .. "'", level + 1)
  end
  local problem =
    find_problem(value, type(rule) == "string" and { kind = rule } or rule)
  if problem then
    error("option '" .. name .. "' " .. problem, level + 1)
  end
end

local function check_required(given, rules, level)
  for name, rule in pairs(rules) do
    local required = type(rule) == "table" and rule.required
    if required and given[name] == nil then
      error("option '" .. name .. "' is missing"
        .. (required == true and "" or ": " .. required), level + 1)
    end
  end
end

-- Returns one table with the rules of several.
local function join(first, ...)
  if select("#", ...) == 0 then
    return first
  end
  local joined = {}
  for _, rules in ipairs({ first, ... }) do
    for name, rule in pairs(rules) do
      joined[name] = rule
    end
  end
  return joined
end

--- Raises unless every option is named in one of the tables and keeps its
--- rules.
---@param given table
---@param level integer
---@param ... table<string, string|kadenza.OptionRule>
function M.options(given, level, ...)
  check_table(given, level + 1)
  local rules = join(...)
  for name, value in next, given do -- a policy's table: without __pairs
    check_option(name, value, rules[name], level + 1)
  end
  check_required(given, rules, level + 1)
end

--- Checks options as `options` does. Returns a copy, with the defaults of the
--- options that are not given.
---@param given table?
---@param level integer
---@param ... table<string, string|kadenza.OptionRule>
---@return table checked
function M.with_defaults(given, level, ...)
  given = given == nil and {} or given
  check_table(given, level + 1)
  local checked = {}
  for name, value in next, given do
    checked[name] = value
  end
  M.options(checked, level + 1, ...)
  for name, rule in pairs(join(...)) do
    if checked[name] == nil and type(rule) == "table" then
      checked[name] = rule.default
    end
  end
  return checked
end

--- Raises unless `value` is of a kind.
---@param value any
---@param kind string  as `type` names it
---@param name string  of the argument
---@param level integer
function M.kind(value, kind, name, level)
  if type(value) ~= kind then
    error(name .. " must be " .. with_article(kind) .. ", not " .. type(value),
      level + 1)
  end
end

--- Raises unless `value` is a finite number.
---@param value any
---@param name string
---@param level integer
function M.number(value, name, level)
  M.kind(value, "number", name, level + 1)
  if value ~= value or value == math.huge or value == -math.huge then
    error(name .. " must be finite", level + 1)
  end
end

--- Raises unless `callback` is nil or a function.
---@param callback any
---@param level integer
function M.callback(callback, level)
  if callback ~= nil then
    M.kind(callback, "function", "the callback", level + 1)
  end
end

--- Raises unless `node` is a node.
---@param node any
---@param level integer
function M.node(node, level)
  if type(node) ~= "table" or type(node.id_bits) ~= "function" then
    error("a node is needed, not a " .. type(node), level + 1)
  end
end

--- Raises unless a node of this Lua state is open.
---@param node kadenza.Node
---@param level integer
function M.open(node, level)
  if not node.core:is_open() then
    error("closed node", level + 1)
  end
end

--- Raises unless `node` is a node and `value` a key or an id of its overlay.
---@param node kadenza.Node
---@param value any
---@param name string
---@param level integer
function M.id(node, value, name, level)
  M.node(node, level + 1)
  M.kind(value, "string", name, level + 1)
  local size = node:id_bits() // 8
  if #value ~= size then
    error(string.format("%s must have %d bytes, not %d%s", name, size, #value,
      name == "key" and ": kad.key(name) makes one" or ""), level + 1)
  end
end

return M

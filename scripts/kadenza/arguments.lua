--- What policy libraries are given, checked: nodes, keys and tables of options.
--
--     local OPTIONS <const> = {
--       parallel = { default = 8, kind = "integer", from = 1, to = 64 },
--       cache = { kind = "table" },
--     }
--     local options = arguments.options(given, 2, OPTIONS)
--
-- A mistake is raised in the name of who made it: `level` is as of `error`.

local M = {}

local function is_of_kind(value, kind)
  return kind == "integer" and math.type(value) == kind or type(value) == kind
end

local function check_option(name, value, rule, level)
  if rule.kind and not is_of_kind(value, rule.kind) then
    error(string.format("option '%s' must be %s %s, not %s", name,
      rule.kind == "integer" and "an" or "a", rule.kind, type(value)),
      level + 1)
  elseif rule.from and not (value >= rule.from and value <= rule.to) then
    error(string.format("option '%s' must be in %s to %s", name, rule.from,
      rule.to), level + 1)
  end
end

--- Returns a table of the options given, and the defaults of the others.
---@param given table?
---@param level integer  whom to blame
---@param ... table<string, table>  name → default, kind, from, to; without a
---  kind, whoever asks checks it
---@return table options
function M.options(given, level, ...)
  given = given == nil and {} or given
  if type(given) ~= "table" then
    error("options must be a table, not " .. type(given), level + 1)
  end
  local checked, known = {}, {}
  for _, rules in ipairs({ ... }) do
    for name, rule in pairs(rules) do
      known[name], checked[name] = true, rule.default
    end
    for name, value in pairs(given) do
      if rules[name] then
        check_option(name, value, rules[name], level + 1)
        checked[name] = value
      end
    end
  end
  for name in pairs(given) do
    if not known[name] then
      error("unknown option '" .. tostring(name) .. "'", level + 1)
    end
  end
  return checked
end

--- Raises unless `node` is a node.
---@param node any
---@param level integer
function M.check_node(node, level)
  if type(node) ~= "table" or type(node.id_bits) ~= "function" then
    error("a node is needed, not a " .. type(node), level + 1)
  end
end

--- Raises unless `key` is a key of the node's overlay.
---@param node kadenza.Node
---@param key any
---@param name string  what to call it
---@param level integer
function M.check_key(node, key, name, level)
  local size = node:id_bits() // 8
  if type(key) ~= "string" or #key ~= size then
    error(string.format("%s must be a key of %d bytes", name, size), level + 1)
  end
end

--- Raises unless `value` is of a kind.
---@param value any
---@param kind string  as `type` names it
---@param name string  what to call it
---@param level integer
function M.check_kind(value, kind, name, level)
  if type(value) ~= kind then
    error(string.format("%s must be a %s, not a %s", name, kind, type(value)),
      level + 1)
  end
end

return M

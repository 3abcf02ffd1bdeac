--- Parses and checks what a user wrote: options, addresses, ids and keys.
--
-- A check returns the value, or nil and the end of a message that begins with
-- the name of the value: "must be 160 or 256, not 5".
--
-- Tested by tests/spec/cli/usage_spec.lua, tests/spec/cli/config_spec.lua.

local closest = require("kadenza.suggest").closest
local bootstrap = require("kadenza.bootstrap")
local core = require("kadenza.core")
local text_start = require("kadenza.shown").start

local M = {}

local MAX_SHOWN <const> = 40 -- bytes of a wrong value in a message

local MAX_PATH <const> = 4095
local MAX_PORT <const> = 65535
local MAX_TYPE <const> = 32
local MAX_SALT <const> = 64
local MAX_NAME <const> = 253

--- Returns a value as a text for messages.
---@param value any
---@return string text
function M.shown(value)
  if type(value) == "string" then
    local cut = #value > MAX_SHOWN and "…" or ""
    return "'" .. text_start(value, MAX_SHOWN) .. cut .. "'"
  elseif type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  return "a " .. type(value)
end

--- Returns "; did you mean 'NAME'?" for the closest of `names`, or "". At most
--- one letter in three may differ.
---@param word string
---@param names string[]
---@return string suggestion
function M.suggestion(word, names)
  local name = closest(word, names, #word // 3)
  return name and ("; did you mean '%s'?"):format(name) or ""
end

local function wrong(requirement, value)
  return nil, ("must be %s, not %s"):format(requirement, M.shown(value))
end

------------------------------------------------------------------- texts --

-- Returns a text as a port number, or nil if it is not one.
local function to_port(text, min)
  local port = text:find("^%d+$") and #text <= 9 and math.tointeger(text)
  return port and port >= min and port <= MAX_PORT and port or nil
end

--- Checks a port number from 1 to 65535 in decimal.
---@param text string
---@return integer? port
---@return string? problem
function M.port(text)
  local port = to_port(text, 1)
  if not port then
    return wrong("from 1 to " .. MAX_PORT, text)
  end
  return port
end

local texts = {}

-- Returns the problem of the port of "HOST:PORT", or nil if the port is valid.
local function port_problem(text, min)
  local port = text:match(":([^:%]]*)$")
  if not port or to_port(port, min) then
    return nil
  end
  local _, problem = wrong("from " .. min .. " to " .. MAX_PORT, port)
  return "has a port that " .. problem
end

function texts.listen(text)
  local address = core.address(text)
  if address then
    return text
  end
  local problem = port_problem(text, 0)
  if problem then
    return nil, problem
  end
  return wrong("an address such as 0.0.0.0:6881 or [::]:6881", text)
end

function texts.remote(text)
  local problem = port_problem(text, 1)
  if problem then
    return nil, problem
  end
  local is_valid, why = bootstrap.check(text)
  if is_valid then
    return text
  elseif why then
    return nil, ("%s: %s"):format(why, M.shown(text))
  end
  return wrong("HOST:PORT, such as 192.0.2.1:6881", text)
end

function texts.path(text)
  if text == "" or #text > MAX_PATH or text:find("\0", 1, true) then
    return wrong(("a path of 1 to %d bytes"):format(MAX_PATH), text)
  end
  return text
end

texts.policy = texts.path

--- Checks the path of a file or folder.
---@param text string
---@return string? path
---@return string? problem
M.path = texts.path

function texts.id(text)
  if not text:find("^%x+$") or #text ~= 40 and #text ~= 64 then
    return wrong("40 or 64 hexadecimal digits", text)
  end
  return text:lower()
end

-- An address of a node without its port, which "HOST:PORT" may have too.
function texts.host(text)
  if not pcall(core.is_secure_id, ("\0"):rep(20), text) then
    return wrong("an address such as 192.0.2.1 or 2001:db8::1", text)
  end
  return text
end

-- The name of a host, without a port.
function texts.name(text)
  if #text > MAX_NAME or not text:find("^[%w.-]+$") then
    return wrong("a name such as node.example.org", text)
  end
  return text
end

-- What a browser sends as Origin.
function texts.origin(text)
  if text ~= "*" and (#text > MAX_NAME
    or not text:find("^%a[%w+.-]*://[%w.%-%[%]:]+$")) then
    return wrong("an origin such as https://example.org, or *", text)
  end
  return text
end

-- An address of a node, with or without its port.
function texts.peer(text)
  return core.address(text) and text or texts.host(text)
end

function texts.version(text)
  if #text ~= 4 then
    return wrong("4 bytes", text)
  end
  return text
end

function texts.type(text)
  if text == "" or #text > MAX_TYPE then
    return nil, ("must have 1 to %d bytes, not %s"):format(MAX_TYPE,
      M.shown(text))
  end
  return text
end

function texts.salt(text)
  if #text > MAX_SALT then
    return nil, ("must have at most %d bytes"):format(MAX_SALT)
  end
  return text
end

--- Checks a node's address, "HOST:PORT".
---@param text string
---@return string? text
---@return string? problem
M.remote = texts.remote

--- Checks an id of `bits` bits in hexadecimal; returns its bytes.
---@param text string
---@param bits 160|256
---@return string? id
---@return string? problem
function M.id(text, bits)
  if #text ~= bits // 4 or text:find("%X") then
    return wrong(bits // 4 .. " hexadecimal digits", text)
  end
  return core.unhex(text)
end

--- Returns the key of a text: an id in hexadecimal, or the hash of a name.
---@param text string
---@param bits 160|256
---@return string key
function M.key(text, bits)
  return M.id(text, bits) or core.key(text, bits)
end

------------------------------------------------------------------- kinds --

local kinds = {}

function kinds.number(option, value)
  if math.type(value) ~= "integer" or value < option.min
    or value > option.max then
    local unit = option.unit and " (" .. option.unit .. ")" or ""
    return wrong(("an integer from %d to %d%s"):format(option.min, option.max,
      unit), value)
  end
  return value
end

function kinds.switch(_, value)
  if type(value) == "string" then
    return wrong("on or off", value)
  elseif type(value) ~= "boolean" then
    return wrong("true or false", value)
  end
  return value
end

-- The names of a choice that booleans stand for, if it has them.
local BOOLEANS <const> = { [true] = "on", [false] = "off" }

function kinds.choice(option, value)
  value = BOOLEANS[value] or value
  for _, choice in ipairs(option.choices) do
    if value == choice then
      return value
    end
  end
  local most = table.concat(option.choices, ", ", 1, #option.choices - 1)
  local last = option.choices[#option.choices]
  return wrong(most .. " or " .. last, value)
end

function kinds.text(option, value)
  if type(value) ~= "string" then
    return wrong("a string", value)
  end
  return texts[option.check](value)
end

local function is_list(value)
  if type(value) ~= "table" then
    return false
  end
  for key in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value then
      return false
    end
  end
  return true
end

-- Checks a policy of the form { file = path, trusted = true }.
local function check_policy(option, value)
  for key in pairs(value) do
    if key ~= "file" and key ~= "trusted" then
      return nil, ("has an unknown key '%s' beside 'file'"):format(key)
    end
  end
  local path, problem = kinds.text(option, value.file)
  if not path then
    return nil, "has a file that " .. problem
  elseif value.trusted ~= nil and type(value.trusted) ~= "boolean" then
    local _, wanted = wrong("true or false", value.trusted)
    return nil, "has a trusted that " .. wanted
  end
  return { file = path, trusted = value.trusted }
end

local function check_item(option, item)
  if option.name == "policies" and type(item) == "table" and item.file then
    return check_policy(option, item)
  end
  return kinds.text(option, item)
end

-- Returns what is wrong with the number of items, or nil.
local function count_problem(option, count)
  local least, most = option.min or 0, option.max or count
  if count >= least and count <= most then
    return nil
  end
  return ("must hold %d to %d %s"):format(least, most,
    option.noun or "addresses")
end

function kinds.list(option, value)
  local list = type(value) == "string" and { value } or value
  if not is_list(list) then
    return wrong("a string or a list of strings", value)
  end
  local problem = count_problem(option, #list)
  if problem then
    return nil, problem
  end
  local checked = {}
  for i, item in ipairs(list) do
    checked[i], problem = check_item(option, item)
    if not checked[i] then
      return nil, problem
    end
  end
  return checked
end

--- Checks the value of an option.
---@param option kadenza.cli.Option
---@param value any
---@return any value  nil on a problem
---@return string? problem
function M.option(option, value)
  return kinds[option.kind](option, value)
end

----------------------------------------------------------------- parsing --

local SWITCHES <const> = {
  ["1"] = true, ["true"] = true, yes = true, on = true,
  ["0"] = false, ["false"] = false, no = false, off = false,
}

local parsers = {}

function parsers.number(_, text)
  return text:find("^%-?%d+$") and math.tointeger(text) or text
end

-- Words for on and off are a boolean, if the choice has these two.
function parsers.choice(option, text)
  local value = SWITCHES[text:lower()]
  for _, choice in ipairs(option.choices) do
    if value ~= nil and choice == "on" then
      return value
    end
  end
  return parsers.number(option, text)
end

function parsers.switch(_, text)
  local value = SWITCHES[text:lower()]
  if value == nil then
    return text
  end
  return value
end

function parsers.text(_, text)
  return text
end

-- Returns the item in quotes that begins at `at`, and the place behind it; nil
-- if its quotes are not closed.
local function quoted_item(text, at)
  local quote, parts = text:sub(at, at), {}
  at = at + 1
  while at <= #text do
    local char = text:sub(at, at)
    if char == quote then
      return table.concat(parts), at + 1
    elseif char == "\\" and quote == '"' and text:find('^["\\]', at + 1) then
      at = at + 1
    end
    parts[#parts + 1] = text:sub(at, at)
    at = at + 1
  end
end

-- Returns the item that begins at `at`, and the place behind it; nil if its
-- quotes are wrong.
local function list_item(text, at)
  if not text:find("^[\"']", at) then
    local behind = text:find("[,%s]", at) or #text + 1
    return text:sub(at, behind - 1), behind
  end
  local item, behind = quoted_item(text, at)
  if item and not text:find("^[^,%s]", behind) then
    return item, behind
  end
end

function parsers.list(_, text)
  local list, at = {}, text:find("[^,%s]")
  while at do
    local item, behind = list_item(text, at)
    if not item then
      return nil, "has quotes that are not closed, or no comma or blank behind "
        .. "them, in " .. M.shown(text)
    end
    list[#list + 1] = item
    at = text:find("[^,%s]", behind)
  end
  return list
end

--- Parses the value of an option from the environment or a command line.
--- Returns a text that cannot be parsed unchanged: its check will fail.
---
--- The items of a list are separated by commas or blanks. An item with these is
--- in quotes: `"my policy.lua"` or `'my policy.lua'`. In double quotes,
--- `\"` and `\\` are a quote and a backslash.
---@param option kadenza.cli.Option
---@param text string
---@return any value  nil on a problem
---@return string? problem
function M.parse(option, text)
  return parsers[option.kind](option, text)
end

return M

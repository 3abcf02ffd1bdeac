--- Finds mistakes in the source of a policy that loads: unknown fields of
--- records, requests and contexts, and undefined globals.
--
-- There are no false alarms. A hook's parameter is checked only while nothing
-- else in the hook has its name, and a global is unknown only if the file
-- declares no such name. Values passed to other functions are not followed;
-- their unknown fields raise when they are read.

local facade = require("kadenza.policy.facade")
local http_hook = require("kadenza.policy.http_hook")
local lexer = require("kadenza.lexer")
local safe = require("kadenza.safe")
local sandbox = require("kadenza.sandbox")
local suggest = require("kadenza.suggest")

local M = {}

---@class kadenza.Problem
---@field file string
---@field line integer
---@field message string

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do
    set[name] = true
  end
  return set
end

-- Returns the fields of `require "kadenza"` in a policy.
local function library_fields()
  local fields = { json = true }
  for name in pairs(safe) do
    fields[name] = true
  end
  return fields
end

--- The fields of values in hooks, by the kind of value.
M.FIELDS = {
  record = set_of({ "key", "type", "value", "seq", "salt", "publisher",
    "signature", "ttl", "age", "seed", "copy" }),
  context = set_of({ "node", "now", "reason", "from" }),
  request = set_of({ "method", "args" }),
  http_request = http_hook.FIELDS,
  contact = set_of({ "id", "address", "host", "port" }),
  from = set_of({ "id", "address", "host", "port", "proven" }),
  node = set_of(facade.NODE),
  library = library_fields(),
}
-- The kinds of fields that have fields themselves.
local NESTED <const> = { context = { from = "from", node = "node" } }
local NOUNS <const> = { record = "a record", context = "a context",
  request = "a request", http_request = "an HTTP request",
  contact = "a contact", from = "context.from", node = "a node",
  library = "kadenza in a policy" }

-- The kinds of the parameters of hooks; false: not checked.
local PARAMETERS <const> = {
  merge = { false, "record", "context" },
  select = { false, "context" },
  on_request = { "request", "context" },
  on_contact = { "contact", "context" },
  on_start = { "node" },
  on_stop = { "node" },
  run = { "node" },
  rpc = { "request", "context" },
  http = { "http_request", "context" },
  validate = { "record", "context" },
  expire = { "record", "context" },
  republish = { "record", "context" },
  on_store = { "record", "context" },
  on_expire = { "record", "context" },
}

local OPENERS <const> = { ["function"] = true, ["do"] = true, ["then"] = true,
  ["repeat"] = true, ["else"] = true, ["{"] = true, ["("] = true,
  ["["] = true }
local CLOSERS <const> = { ["end"] = true, ["until"] = true, ["}"] = true,
  [")"] = true, ["]"] = true, ["elseif"] = true, ["else"] = true }

local Linter = {}
Linter.__index = Linter

-- Adds a problem, once: a function may serve several hooks.
function Linter:report(token, ...)
  local message = string.format(...)
  local id = token.line .. ": " .. message
  if not self.reported[id] then
    self.reported[id] = true
    table.insert(self.problems,
      { file = self.file, line = token.line, message = message })
  end
end

-- Returns the text of a token; "" for a string.
function Linter:text(at)
  local token = self.tokens[at]
  return token and token.text or ""
end

------------------------------------------------------------ declarations --

-- Adds the names of a list with commas at `at` to `declared`. Returns the place
-- of the token after the list.
function Linter:read_names(at, declared)
  while self.tokens[at] and self.tokens[at].kind == "name" do
    declared[self:text(at)] = true
    at = at + 1
    if self:text(at) == "<" then
      at = at + 3 -- an attribute
    end
    if self:text(at) ~= "," then
      return at
    end
    at = at + 1
  end
  return at
end

-- Returns where the parameters of the function whose keyword is at `at` begin,
-- and whether it is a method.
function Linter:parameters_of(at)
  local is_method = false
  while self:text(at) ~= "(" do
    is_method = is_method or self:text(at) == ":"
    at = at + 1
  end
  return at + 1, is_method
end

-- Adds the names that the keyword at `at` declares to `declared`.
function Linter:declare(at, declared)
  local text = self:text(at)
  if text == "local" and self:text(at + 1) == "function" then
    declared[self:text(at + 2)] = true
  elseif text == "local" or text == "for" then
    self:read_names(at + 1, declared)
  elseif text == "function" then
    local first, is_method = self:parameters_of(at)
    self:read_names(first, declared)
    declared.self = declared.self or is_method or nil
  end
end

-- Returns the names that are declared from `first` to `last`.
function Linter:declared_in(first, last)
  local declared = {}
  for at = first, last do
    if self.tokens[at].kind == "keyword" then
      self:declare(at, declared)
    end
  end
  return declared
end

------------------------------------------------------------------ fields --

local function is_field(before)
  return before == "." or before == ":"
end

-- Tells whether `name` is declared or assigned from `first` to `last`.
function Linter:is_shadowed(name, first, last)
  if self:declared_in(first, last)[name] then
    return true
  end
  for at = first, last do
    if self:text(at) == name and self:text(at + 1) == "="
      and not is_field(self:text(at - 1))
    then
      return true
    end
  end
  return false
end

-- Checks the field access after the name at the token `at`, and those that
-- follow it. `kind` is the kind of the value, such as a record.
function Linter:check_field(at, kind)
  local field = self.tokens[at + 2]
  if not is_field(self:text(at + 1)) or field.kind ~= "name" then
    return
  end
  local fields = M.FIELDS[kind]
  if fields[field.text] == nil then
    self:report(field, "%s has no field '%s'%s", NOUNS[kind], field.text,
      suggest.hint(field.text, fields))
  elseif self:text(at + 3) == "=" then
    self:report(field, "'%s' of %s cannot be set: copy it first", field.text,
      NOUNS[kind])
  elseif NESTED[kind] and NESTED[kind][field.text] then
    self:check_field(at + 2, NESTED[kind][field.text])
  end
end

function Linter:check_uses(name, kind, first, last)
  for at = first, last do
    if self:text(at) == name and self.tokens[at].kind == "name"
      and not is_field(self:text(at - 1))
    then
      self:check_field(at, kind)
    end
  end
end

-- Returns the place of the `end` of the function whose keyword is at `first`.
function Linter:end_of(first)
  local depth = 0
  for at = first, #self.tokens do
    local text = self:text(at)
    depth = depth + (OPENERS[text] and 1 or 0) - (CLOSERS[text] and 1 or 0)
    if depth == 0 and at > first and text == "end" then
      return at
    end
  end
  return #self.tokens
end

-- Returns the places of the first and last token of the function of a hook; nil
-- when several functions begin on its line.
function Linter:find_function(place)
  local found
  for at, token in ipairs(self.tokens) do
    if token.line == place.first and token.text == "function"
      and token.kind == "keyword"
    then
      if found then
        return nil
      end
      found = at
    end
  end
  local last = found and self:end_of(found)
  if last and self.tokens[last].line == place.last then
    return found, last
  end
  return nil
end

-- Checks the uses of the parameters of the function at `first`.
function Linter:check_parameters(kinds, first, last)
  local at = self:parameters_of(first)
  for _, kind in ipairs(kinds) do
    if self.tokens[at].kind ~= "name" then
      return
    end
    local name = self:text(at)
    if kind and not self:is_shadowed(name, at + 2, last) then
      self:check_uses(name, kind, at + 1, last)
    end
    at = at + 2
  end
end

function Linter:check_hook(place)
  local hook = place.path:match("^(%a+)%.")
  if hook ~= "rpc" and hook ~= "http" then
    hook = place.path:match("[%a_]+$")
  end
  local first, last = self:find_function(place)
  if first and PARAMETERS[hook] then
    self:check_parameters(PARAMETERS[hook], first, last)
  end
end

-- Checks the uses of NAME after `local NAME = require("kadenza")`.
function Linter:check_library()
  for at = 1, #self.tokens - 6 do
    if self:text(at) == "local" and self:text(at + 2) == "="
      and self:text(at + 3) == "require"
    then
      local string_at = self:text(at + 4) == "(" and at + 5 or at + 4
      local name = self:text(at + 1)
      local token = self.tokens[string_at]
      if token.value == "kadenza"
        and not self:is_shadowed(name, at + 4, #self.tokens)
      then
        self:check_uses(name, "library", at + 4, #self.tokens)
      end
    end
  end
end

----------------------------------------------------------------- globals --

-- Tells whether the name at `at` is a variable: not a field, a label or a key
-- in a table constructor. `inner` is the innermost open bracket or block.
function Linter:is_variable(at, inner)
  local before, after = self:text(at - 1), self:text(at + 1)
  if is_field(before) or before == "goto" or before == "::" then
    return false
  end
  return not (inner == "{" and after == "="
    and (before == "{" or before == "," or before == ";"))
end

local GLOBALS <const> = set_of(sandbox.GLOBALS)

function Linter:check_global(at, declared, inner)
  local token = self.tokens[at]
  local name = token.text
  if declared[name] or GLOBALS[name] or not self:is_variable(at, inner) then
    return
  elseif self:text(at + 1) == "=" then
    self:report(token, "global '%s' cannot be set: use 'local'", name)
  else
    local known = {}
    for _, names in ipairs({ GLOBALS, declared }) do
      for other in pairs(names) do
        known[other] = true
      end
    end
    self:report(token, "undefined global '%s'%s", name,
      suggest.hint(name, known))
  end
end

-- Tells whether the source uses `_ENV`: then names need not be globals.
function Linter:uses_environment()
  for _, token in ipairs(self.tokens) do
    if token.text == "_ENV" then
      return true
    end
  end
  return false
end

function Linter:check_globals()
  local declared = self:declared_in(1, #self.tokens)
  local open = {}
  for at, token in ipairs(self.tokens) do
    if token.kind == "keyword" or token.kind == "symbol" then
      if CLOSERS[token.text] then
        open[#open] = nil
      end
      if OPENERS[token.text] then
        open[#open + 1] = token.text
      end
    elseif token.kind == "name" and not (self:text(at - 1) == "<"
      and self:text(at + 1) == ">")
    then
      self:check_global(at, declared, open[#open])
    end
  end
end

local function by_line(a, b)
  if a.line ~= b.line then
    return a.line < b.line
  end
  return a.message < b.message
end

--- Returns the names of the modules beside a policy that its source requires.
---@param text string  Lua that compiles
---@return string[] names
function M.modules(text)
  local names, words = {}, lexer.tokens(text)
  for at, token in ipairs(words) do
    local after = words[at + 1] or token
    local value = after.text == "(" and words[at + 2] or after
    if token.text == "require" and value.kind == "string"
      and not value.value:find("^kadenza%f[%W]")
    then
      names[#names + 1] = value.value
    end
  end
  return names
end

--- Checks the source of a policy file, or of a module beside it.
---@param file string
---@param text string  Lua that compiles
---@param places table[]  of its hooks: path, first and last line
---@param is_trusted? boolean  do not check globals
---@return kadenza.Problem[] problems  by line
function M.check(file, text, places, is_trusted)
  local linter = setmetatable({ file = file, tokens = lexer.tokens(text),
    problems = {}, reported = {} }, Linter)
  for _, place in ipairs(places) do
    linter:check_hook(place)
  end
  linter:check_library()
  if not is_trusted and not linter:uses_environment() then
    linter:check_globals()
  end
  table.sort(linter.problems, by_line)
  return linter.problems
end

return M

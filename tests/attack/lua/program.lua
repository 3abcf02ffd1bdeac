--- Random parts of a policy: the texts of functions over all that a policy may
--- call, with hostile metatables, coroutines, waits and errors everywhere.
--
--     local part = program.part(seed, means)
--     part.slot, part.text --> "types.note.merge", "function(a, b, c) … end"
--
-- The functions use these locals of the file: `keep(…)` and `kept[i]`, values
-- of earlier calls; `try(fn, …)`, the results of `fn` or an error; `fresh(n)`,
-- a string that nothing else holds; `lone_records(n, m)`, n records of such
-- strings, of which nothing else holds the first m; `weak(list, mode)`, the
-- list and its tables made weak: the next collection takes what is alone;
-- `press(n)`, which uses so much memory that a collection is forced.

local Dice = require("tests.attack.lua.dice")
local values = require("tests.attack.lua.values")

local M = {}

local MOST_LONE <const> = 12 -- records that fit a stack as it is

M.HEAD = [[
local kept, place = {}, 0
local function keep(...)
  for i = 1, select("#", ...) do
    place = place % 16 + 1
    kept[place] = (select(i, ...))
  end
  return ...
end
local function double(text, times)
  for _ = 1, times do
    text = text .. text
  end
  return text
end
local function try(fn, ...)
  local all = table.pack(pcall(fn, ...))
  return table.unpack(all, 2, all.n)
end
local made = 0
local function fresh(times)
  made = made + 1
  return ("%04d"):format(made % 10000):rep(times)
end
local function weak(list, mode)
  local fields = { __mode = mode, __index = function(_, name)
    return { fresh(1), name }
  end }
  for i = 1, #list do
    if type(list[i]) == "table" then
      setmetatable(list[i], fields)
    end
  end
  return setmetatable(list, fields)
end
local function press(count)
  local block, ring = double("pressure", 11), {}
  for i = 1, 120 do
    ring[i % count] = block .. i
  end
end
local held
local function lone_records(count, lone)
  local list = {}
  for i = 1, count do
    list[i] = { value = fresh(1 + i % 30), ttl = 3600 + i }
  end
  held = table.move(list, lone + 1, count, 1, {})
  return list
end
]]

--- The places of functions in a policy. Merge and select are more frequent than
--- others: the engine borrows what they return.
M.SLOTS = { "types.note.validate", "types.note.merge", "types.note.merge",
  "types.note.merge", "types.note.select", "types.note.select",
  "types.note.expire", "types.note.republish", "types.value.validate",
  "types.peers.select", "on_request", "on_contact", "on_store", "on_expire",
  "rpc", "rpc", "rpc", "http", "http", "every", "on_start", "on_stop", "save",
  "restore", "file", "codec" }

local Program = {}
Program.__index = Program

local OPERATORS <const> = { "..", "+", "-", "*", "//", "%", "<", "<=", "==",
  "&", "<<", "and", "or" }
local WAITS <const> = { "kad.sleep(0)", "kad.sleep(0.01)", "kad.sleep(1)",
  "kad.sleep(1e5)", "coroutine.yield()", "coroutine.yield(kad)",
  "kad.wait(function() end)", "kad.wait(function(resume) resume(1) end)" }

------------------------------------------------------------- expressions --

function Program:list(depth)
  local items = {}
  for i = 1, self.dice:below(5) do
    items[i] = self:expression(depth + 1)
  end
  return "{ " .. table.concat(items, ", ") .. " }"
end

function Program:record(depth)
  return values.record(self.dice, function()
    return self:expression(depth + 1)
  end)
end

function Program:metatable(depth)
  local dice, fields = self.dice, {}
  for i = 1, 1 + dice:below(3) do
    local value = dice:one_in(2) and self:fn(depth + 1)
      or self:expression(depth + 1)
    fields[i] = dice:pick(values.METAMETHODS) .. " = " .. value
  end
  if dice:one_in(2) then
    fields[#fields + 1] = '__mode = "' .. dice:pick({ "k", "v", "kv" }) .. '"'
  end
  return "{ " .. table.concat(fields, ", ") .. " }"
end

function Program:hostile(depth)
  return ("try(setmetatable, %s, %s)"):format(self.dice:one_in(2)
    and self:list(depth + 1) or self:record(depth + 1),
    self:metatable(depth + 1))
end

function Program:fn(depth)
  return ("function(a, b, ...) %s end"):format(self:body(depth + 1))
end

function Program:call(depth)
  local arguments = { self.dice:pick(self.names) }
  for _ = 1, self.dice:below(5) do
    arguments[#arguments + 1] = self:expression(depth + 1)
  end
  return "try(" .. table.concat(arguments, ", ") .. ")"
end

function Program:match(depth)
  if not self.is_confined then
    return self:call(depth)
  end
  return ("try(string.%s, %s, %s, %s)"):format(
    self.dice:pick({ "find", "match", "gsub", "gmatch" }),
    self:expression(depth + 1), values.pattern(self.dice),
    self:expression(depth + 1))
end

-- A method of a node, a task, a view or a string, or a field of theirs.
function Program:access(depth)
  local dice, object = self.dice, self:name()
  if dice:one_in(3) then
    return ("try(function(...) return %s.%s end)"):format(object,
      dice:pick(values.FIELDS))
  end
  return ("try(function(...) return %s:%s(%s, %s) end)"):format(object,
    dice:pick(self.methods), self:expression(depth + 1),
    self:expression(depth + 1))
end

function Program:operation(depth)
  return ("try(function(...) return %s %s %s end)"):format(
    self:expression(depth + 1), self.dice:pick(OPERATORS),
    self:expression(depth + 1))
end

function Program:thread(depth)
  return ("coroutine.%s(%s)"):format(self.dice:pick({ "wrap", "create" }),
    self:fn(depth))
end

-- An argument of the hook, or what an earlier call has kept.
function Program:name()
  return self.dice:pick({ "a", "b", "c", "node",
    ("kept[%d]"):format(1 + self.dice:below(16)) })
end

local SMALL <const> = { function(self)
  return values.number(self.dice)
end, function(self)
  return values.string(self.dice)
end, function(self)
  return self.dice:pick({ "nil", "true", "false", "kad", "{}", "..." })
end, Program.name, Program.name }

local LARGE <const> = { Program.list, Program.record, Program.hostile,
  Program.hostile, Program.fn, Program.call, Program.call, Program.call,
  Program.match, Program.access, Program.access, Program.operation,
  Program.thread }

function Program:expression(depth)
  self.room = self.room - 1
  if depth > 4 or self.room < 0 or self.dice:one_in(2) then
    return self.dice:pick(SMALL)(self, depth)
  end
  return self.dice:pick(LARGE)(self, depth)
end

-------------------------------------------------------------- statements --

local STATEMENTS <const> = {
  function(self, depth)
    return ("keep(%s)"):format(self:expression(depth))
  end,
  function(self, depth)
    return ("keep(%s)"):format(self:call(depth))
  end,
  function(self, depth)
    return ("keep(%s)"):format(self:access(depth))
  end,
  function(self, depth)
    return ("keep(%s)"):format(self:hostile(depth))
  end,
  function(self, depth)
    return ("for i = 1, %s do %s end"):format(
      self.dice:pick({ "3", "3", "100", "1e9" }), self:body(depth + 1))
  end,
  function(self, depth)
    return ("for k, v in pairs(%s) do keep(k, v) %s end"):format(
      self:name(), self:body(depth + 1))
  end,
  function(self, depth)
    return ("if %s then %s else %s end"):format(self:expression(depth),
      self:body(depth + 1), self:body(depth + 1))
  end,
  function(self, depth)
    return ("do local x <close> = setmetatable({}, { __close = %s }) %s end")
      :format(self:fn(depth), self:body(depth + 1))
  end,
  function(self, depth)
    return ("try(error, %s)"):format(self:expression(depth))
  end,
  function(self, depth)
    return self.dice:one_in(4) and ("error(%s)"):format(self:expression(depth))
      or ("do local co = keep(%s) try(co) %s end"):format(self:thread(depth),
        self.dice:pick({ "try(coroutine.close, co)",
          "try(coroutine.resume, co)", "try(co)" }))
  end,
  function(self)
    return ("do local _ = %s end"):format(self.dice:pick(WAITS))
  end,
  function(self)
    return "try(function(...) " .. self.dice:pick(WAITS) .. " end)"
  end,
  function(self, depth)
    return ("do local function g(n, ...) %s return g(n + 1, n, ...) %s end "
      .. "try(g, 1) end"):format(self:body(depth + 1),
      self.dice:pick({ "", "+ 1" }))
  end,
  function(self, depth)
    return ("try(function(...) %s[%s] = %s end)"):format(self:name(),
      self:expression(depth), self:expression(depth))
  end,
  function(self, depth)
    return ("keep(double(%s, %d))"):format(self:expression(depth),
      self.is_confined and 40 or 8)
  end,
  function(self)
    return self.dice:pick(self.more)
  end,
}

function Program:body(depth)
  local lines = {}
  if depth < 5 and self.room > 0 then
    for i = 1, 1 + self.dice:below(3) do
      lines[i] = self.dice:pick(STATEMENTS)(self, depth)
    end
  end
  if self.dice:one_in(3) then
    lines[#lines + 1] = ("do return %s end"):format(self:expression(depth))
  end
  return table.concat(lines, " ")
end

---------------------------------------------------------------- verdicts --

-- A string that nothing but what is returned holds.
local function fresh(self)
  return ("fresh(%d)"):format(1 + self.dice:below(40))
end

local function weak(self, list)
  return ("weak(%s, %q)"):format(list, self.dice:pick({ "v", "v", "kv", "k" }))
end

local function decision(self)
  return self.dice:pick({ "true", "true", "true", "false", "nil, \"no\"",
    "nil, " .. fresh(self),
    ("nil, %s, %s"):format(values.string(self.dice), values.number(self.dice)),
    "nil" })
end

-- Records that only the engine still has when the hook has returned. Those that
-- follow in the list are there after a collection: to find one missing is an
-- error, with which nothing that is gone is used.
local function weak_records(self)
  local dice, items = self.dice, {}
  if dice:below(4) > 0 then
    return weak(self, ("lone_records(%d, %d)"):format(1 + dice:below(300),
      dice:below(4))) .. (dice:one_in(8) and "[1]" or "")
  end
  for i = 1, 1 + dice:below(4) do
    items[i] = dice:pick({ "b:copy()", "a[1]:copy()",
      ("{ value = %s, salt = %s }"):format(fresh(self), fresh(self)),
      ("{ value = %s, type = fresh(1) }"):format(fresh(self)),
      ("{ value = %s, publisher = fresh(8), signature = fresh(16) }"):format(
        fresh(self)) })
  end
  return weak(self, "{ " .. table.concat(items, ", ") .. " }")
end

local function records(self)
  if self.dice:one_in(2) then
    return weak_records(self)
  end
  local items = {}
  for i = 1, self.dice:below(4) do
    items[i] = self.dice:pick({ "a[1]", "b", "a", "(b:copy())",
      self:record(2), self:record(2), self:hostile(3) })
  end
  local list = "{ " .. table.concat(items, ", ") .. " }"
  return self.dice:pick({ list, list, "a", items[1] or "nil",
    ("setmetatable(%s, %s)"):format(list, self:metatable(3)),
    'nil, "no merge"' })
end

local function seconds(self)
  return values.number(self.dice)
end

local function reply(self)
  return self.dice:pick({ self:record(2), self:list(2), self:hostile(2),
    'nil, "no", 299', ("{ list = %s }"):format(self:list(2)),
    ("nil, %s, 299"):format(fresh(self)),
    weak(self, ("{ text = %s, list = weak({ %s, { %s } }, \"v\") }"):format(
      fresh(self), fresh(self), fresh(self))) })
end

local function response(self)
  return self.dice:pick({ self:record(2), self:hostile(2), 'nil, "no", 404',
    ("{ json = %s }"):format(self:list(2)),
    ("{ body = %s, headers = { a = %s } }"):format(fresh(self), fresh(self)),
    ("{ status = %s, json = %s }"):format(values.number(self.dice),
      self:record(2)),
    ("nil, %s, %s"):format(fresh(self), values.number(self.dice)) })
end

-- Messages of a codec that is nearly the identity.
local function codec(self)
  return self.dice:pick({ "kad.bencode.encode(a)", "kad.bencode.decode(a)",
    self:record(1), values.string(self.dice), "nil", 'nil, "no"', "a",
    fresh(self), weak(self, "{ " .. fresh(self) .. " }") })
end

local VERDICTS <const> = { validate = decision, merge = records,
  select = records, expire = seconds, republish = seconds,
  on_request = decision, on_contact = decision, rpc = reply, http = response,
  save = reply, codec = codec }

-- The end of a function: what its hook should return, most times.
local function ending(self, slot)
  local verdict = VERDICTS[slot:match("[%a_]+$")]
  if not verdict or self.dice:one_in(4) then
    return "return " .. self:expression(2)
  end
  local before = self.dice:one_in(6) and "kad.sleep(0.01) "
    or self.dice:one_in(6) and ("press(%d) "):format(self.dice:below(90) + 1)
    or ""
  return before .. "return " .. verdict(self)
end

--- What a part can use.
---@class kadenza.attack.Means
---@field names string[]  of functions
---@field methods string[]  of objects
---@field more string[]  more statements
---@field is_confined boolean  whether what runs for long in C is bounded

--- Returns a part of a policy.
---@param seed integer
---@param means kadenza.attack.Means
---@return { slot: string, text: string } part
function M.part(seed, means)
  local dice = Dice.new(seed)
  local self = setmetatable({ dice = dice, room = 10 + dice:below(50),
    names = means.names, methods = means.methods, more = means.more,
    is_confined = means.is_confined }, Program)
  local slot = dice:pick(M.SLOTS)
  -- A return in the middle gives no verdict: some parts have only the end.
  local is_short = dice:one_in(VERDICTS[slot:match("[%a_]+$")] and 2 or 6)
  local body = self:body(is_short and 5 or 1)
  return { slot = slot, text = ("function(a, b, c, ...)\n  %s\n  %s\nend")
    :format(body, ending(self, slot)) }
end

--- Returns a hook whose records the engine alone has. It cannot fail: from its
--- return to the engine nothing is allocated, unless the hook was pending.
---@param seed integer
---@return { slot: string, text: string } part
function M.lone_part(seed)
  local dice = Dice.new(seed)
  return { slot = dice:pick({ "types.note.merge", "types.note.select" }),
    text = ("function() return weak(lone_records(%d, %d), %q) end"):format(
      1 + dice:below(MOST_LONE), dice:below(MOST_LONE),
      dice:pick({ "v", "kv" })) }
end

return M

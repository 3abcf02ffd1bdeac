--- Attacks the policy host with random policies: `make attack TESTS=policies`.
--
-- A case is a policy of random parts, in a file, sandboxed or trusted, or as a
-- table in the program. In one of three, all it does is to return records that
-- only the engine has then. Beside it the node runs a keeper with records. The
-- case calls every hook, while garbage is collected often, reloads the policies
-- and then replaces them. Then the node must answer, the keeper's records must
-- be there, and what was reported must name the policy.

local allowed = require("tests.attack.lua.allowed")
local attacker = require("tests.attack.lua.attacker")
local collector = require("tests.collector")
local Dice = require("tests.attack.lua.dice")
local kad = require("kadenza")
local log = require("kadenza.log")
local policy = require("kadenza.policy")
local program = require("tests.attack.lua.program")
local values = require("tests.attack.lua.values")

local KEPT <const> = 4 -- records of the keeper
local FOLDER <const> = "build/attack"
local CPU_SECONDS <const> = 30 -- of a case
local INSTRUCTIONS <const> = 200000 -- of a policy
local MEMORY <const> = { 2 * 1024 * 1024, 6 * 1024 * 1024 }

local KEEPER <const> = [[
  return { name = "keeper", types = { kept = { republish = false,
    ttl = 2592000, validate = function(record)
      return record.value:find("^kept") ~= nil or nil, "not mine"
    end } }, rpc = { keeper_alive = function() return { yes = 1 } end } }
]]

-- A trusted policy that collects in the state of the node's policies.
local WATCHER <const> = [[
  local collector = require("tests.collector")
  collector.watch()
  collector.mode("MODE")
  return { name = "watcher" }
]]

local methods <const> = allowed.node_methods()
for _, name in ipairs({ "copy", "await", "cancel", "status", "rep", "byte",
  "format", "close" }) do
  methods[#methods + 1] = name
end

local CONFINED <const> = { names = allowed.functions(), methods = methods,
  more = { "kad.sleep(0)" }, is_confined = true }

-- What trusted code calls in C is not bounded: what can run without end there
-- is left out, as is `close`, since trusted code may close its node. Only
-- trusted code collects garbage.
local TRUSTED <const> = { names = {}, methods = {}, more = { "collect()",
  'collect("step")', 'collect("step", 9)', 'collect("generational")',
  'collect("incremental")' } }
for _, name in ipairs(CONFINED.names) do
  if not name:find("^table%.") and not name:find("^string%.") then
    table.insert(TRUSTED.names, name)
  end
end
for _, name in ipairs(methods) do
  if name ~= "close" then
    table.insert(TRUSTED.methods, name)
  end
end
local COLLECTOR <const> = [[
local collections = 0
local function collect(...)
  collections = collections + 1
  return collections < 50 and collectgarbage(...)
end
]]

-------------------------------------------------------------------- text --

-- Returns the parts of a policy by slot, the last of each: `rpc`, `http`,
-- `every` and `codec` have several.
local function sort_parts(parts)
  local by_slot = { rpc = {}, http = {}, every = {}, codec = {} }
  for _, part in ipairs(parts) do
    local list = by_slot[part.slot]
    if type(list) == "table" then
      list[#list + 1] = part.text
    else
      by_slot[part.slot] = part.text
    end
  end
  return by_slot
end

-- Returns a table of the parts. `head` and `tail` are around each; "#" in them
-- is its number.
local function list_of(parts, head, tail)
  local lines = {}
  for i, text in ipairs(parts) do
    lines[i] = head:gsub("#", i) .. text .. tail
  end
  return "{ " .. table.concat(lines, ", ") .. " }"
end

local SECONDS <const> = { "1", "1", "10", "0.01", "3600" }

local function types_of(by_slot, dice)
  local types = { note = {}, value = {}, peers = {} }
  for slot, text in pairs(by_slot) do
    local name, hook = slot:match("^types%.(%a+)%.(%a+)$")
    if name then
      table.insert(types[name], hook .. " = " .. text)
    end
  end
  table.insert(types.note, "max_values = " .. 1 + dice:below(40))
  local lines = {}
  for _, name in ipairs({ "note", "value", "peers" }) do
    table.sort(types[name])
    lines[#lines + 1] = name .. " = { " .. table.concat(types[name], ", ")
      .. " }"
  end
  return "{ " .. table.concat(lines, ", ") .. " }"
end

local PLAIN <const> = { "on_request", "on_contact", "on_store", "on_expire",
  "on_start", "on_stop", "save", "restore" }

-- A field that has no right value.
local function wrong_field(dice)
  local name = dice:pick({ "name", "version", "types", "rpc", "http",
    "metrics", "every", "codec", "deadline", "samples", "requires", "save",
    "on_store", "[1]", "[{}]", "nonsense" })
  return ("%s = %s,"):format(name, dice:pick({ values.string(dice),
    values.number(dice), values.record(dice, function() return "nil" end),
    "setmetatable({}, { __index = error, __len = error, __pairs = error })",
    "print", "{ {} }", "{ note = 1 }", "function() end" }))
end

local function fields_of(by_slot, dice)
  local fields = { 'name = "attack"', "version = 1",
    "deadline = " .. dice:pick({ "1", "0.1", "5" }),
    "types = " .. types_of(by_slot, dice),
    "rpc = " .. list_of(by_slot.rpc, "p# = ", ""),
    "http = " .. list_of(by_slot.http, '["PUT /p#/:key"] = ', ""),
    "every = " .. list_of(by_slot.every, "{ seconds = "
      .. dice:pick(SECONDS) .. ", run = ", " }"),
  }
  for _, name in ipairs(PLAIN) do
    if by_slot[name] then
      fields[#fields + 1] = name .. " = " .. by_slot[name]
    end
  end
  if by_slot.codec[2] then
    fields[#fields + 1] = ("codec = { encode = %s, decode = %s }"):format(
      by_slot.codec[1], by_slot.codec[2])
  end
  if dice:one_in(20) then
    table.insert(fields, 1, wrong_field(dice))
  end
  return table.concat(fields, ",\n")
end

-- Changes some bytes of a text.
local function corrupt(text, dice)
  for _ = 1, 1 + dice:below(3) do
    local at = 1 + dice:below(#text)
    text = text:sub(1, at - 1) .. dice:bytes(dice:below(3))
      .. text:sub(at + dice:below(20))
  end
  return text
end

-- Returns the text of a policy.
local function make_text(parts, dice)
  local by_slot = sort_parts(parts)
  local start = by_slot.file and (dice:one_in(2)
    and "try(%s, node)" or "(%s)(node)"):gsub("%%s", function()
      return by_slot.file
    end) or ""
  local text = program.HEAD .. "return function(node)\nlocal a, b, c\n" .. start
    .. "\nreturn {\n" .. fields_of(by_slot, dice) .. "\n}\nend\n"
  text = COLLECTOR .. allowed.head(text) .. text
  return dice:one_in(30) and corrupt(text, dice) or text
end

------------------------------------------------------------------- world --

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

local World = {}
World.__index = World

function World:path(name)
  return ("%s/policies-%d%s.lua"):format(FOLDER, self.seed, name)
end

function World:__close()
  collector.every(0)
  if self.net then
    self.net:close()
  end
  log.restore(self.log)
  os.remove(self:path("-keeper"))
  os.remove(self:path("-watcher"))
  if self.passed then
    os.remove(self:path(""))
  end
end

-- Asserts that a failure that was logged names the policy.
local function check_event(self, event)
  if not event.message:find("^a policy failed")
    and not (event.message == "a task failed" and event.fields.policy)
  then
    return
  end
  local text = table.concat({ tostring(event.fields.error),
    tostring(event.fields.hook), tostring(event.fields.policy) }, " ")
  if not text:find("attack", 1, true) and not text:find("policies-", 1, true)
  then
    self.nameless = self.nameless or text
  end
  if self.is_lone
    and text:find("returned nil where a record is expected", 1, true)
  then
    self.lost = text
  end
end

-- Asserts that no record was lost on the way from a hook that returned it. The
-- scheduler, which runs a hook that was pending, may allocate on the way.
local function assert_none_lost(self)
  local pending = 0
  for _, hook in pairs(policy.stats(self.node).hooks) do
    pending = pending + hook.preempted + hook.yields
  end
  assert(not self.lost or pending > 0, self.lost)
end

-- Returns the policies of the attacked node.
local function list_policies(self, text)
  write(self:path(""), text)
  if self.kind == "table" then
    return { function()
      return assert(load(text, "@" .. self:path("")))()(self.stand_in)
    end, function()
      return assert(load(KEEPER))()
    end }
  end
  local file = self.kind == "trusted"
    and { file = self:path(""), trusted = true } or self:path("")
  return { file, self:path("-keeper"), { file = self:path("-watcher"),
    trusted = true } }
end

local function begin(seed, show)
  local dice = Dice.new(seed + 1)
  local self = setmetatable({ seed = seed, dice = dice, parts = {} },
    World)
  self.is_lone = dice:one_in(3)
  self.kind = dice:pick({ "file", "file", "file", "trusted", "table" })
  self.means = self.kind == "file" and CONFINED or TRUSTED
  write(self:path("-keeper"), KEEPER)
  write(self:path("-watcher"), (WATCHER:gsub("MODE",
    dice:pick({ "generational", "incremental" }))))
  self.log = log.configure({ level = "debug", sink = function(event)
    check_event(self, event)
    show("log: %s %s %s", event.message, event.fields.hook or "",
      tostring(event.fields.error or ""))
  end })
  self.show = show
  return self
end

-- What the program itself calls of a policy that is a table has no budget.
local UNMETERED <const> = { on_start = true, on_stop = true, save = true,
  restore = true, file = true }

local function step(self, seed)
  local part = self.is_lone and program.lone_part(seed)
    or program.part(seed, self.means)
  if self.kind ~= "table" or not UNMETERED[part.slot] then
    table.insert(self.parts, part)
  end
end

------------------------------------------------------------------ actions --

local NOTE <const> = { type = "note" }

local function random_key(dice)
  return kad.key("key " .. dice:below(4))
end

-- Puts on one key, so that a hook merges, and reads what it has made of them.
local function merge(self, dice)
  local key = random_key(dice)
  for _ = 1, 2 + dice:below(4) do
    dice:pick({ self.node, self.other }):put(key,
      dice:bytes(dice:below(200)), NOTE)
  end
  self.node:get(key, NOTE)
end

local ACTIONS <const> = {
  merge,
  merge,
  merge,
  function(self, dice)
    self.node:put(random_key(dice), dice:bytes(dice:below(200)), NOTE)
  end,
  function(self, dice)
    self.node:get(random_key(dice), NOTE)
  end,
  function(self, dice)
    self.other:get(random_key(dice), { type = "note", all = true })
  end,
  function(self, dice)
    self.other:put(random_key(dice), dice:bytes(dice:below(200)))
  end,
  function(self, dice)
    self.other:announce(random_key(dice), 1 + dice:below(60000))
    self.node:get_peers(random_key(dice))
  end,
  function(self, dice)
    self.other:call(self.address, "p" .. 1 + dice:below(4), {
      value = dice:bytes(dice:below(60)), list = { 1, 2, { a = "b" } } })
  end,
  function(self, dice)
    self.node:serve_http({ method = "PUT", path = "/p" .. 1 + dice:below(3)
      .. "/key", body = dice:bytes(dice:below(60)),
      query = { a = "b" } })
  end,
  function(self, dice)
    self.node:evaluate(dice:pick({ "policies", "stats()", "kad", "node",
      "error(policies)", "kad.sleep(1)", "x = policies", "print(x)" }))
  end,
  function(self)
    self.other:ping(self.address)
  end,
  function(_, dice)
    kad.sleep(dice:pick({ 0.01, 1, 5 }))
  end,
  function(self)
    assert_none_lost(self)
    self.node:reload()
  end,
  function(self, dice)
    self.other:query(random_key(dice), "p1", {}, { quorum = 1 })
  end,
  function(self)
    self.node:stats()
    self.node:held(random_key(self.dice), "note")
  end,
}

local function store_records(self)
  for i = 1, KEPT do
    local key = kad.key("kept " .. i)
    assert(self.other:put(key, "kept " .. i, { type = "kept" }))
  end
end

-- Asserts that the node holds the keeper's records, whatever its policies do.
local function assert_held(self)
  for i = 1, KEPT do
    local held = self.node:held(kad.key("kept " .. i), "kept")
    assert(held[1] and held[1].value == "kept " .. i, "a record is lost")
  end
end

-- Replaces the policies. An `on_start` or `on_stop` may reload the node, too.
local function replace(self, policies)
  for _ = 1, 3 do
    local attached, message, code = policy.attach(self.node, policies)
    if attached or code ~= "KAD_EBUSY" then
      return attached, message
    end
    kad.sleep(1)
  end
  return nil, "busy"
end

-- Asserts that the message of a policy that was not loaded names its file, and
-- shows nothing of the library.
local function check_refusal(self, message)
  local name = self.kind == "table" and "policy 1" or self:path("")
  assert(message:sub(1, #name) == name
    or message:find("out of memory") or message:find("not enough memory"),
    "a message without file: " .. message)
  assert(not message:find("stack traceback", 1, true), message)
end

local function attack(self)
  local text = make_text(self.parts, self.dice)
  local loaded, message = replace(self, list_policies(self, text))
  if not loaded then
    self.show("refused: %s", message)
    check_refusal(self, message)
    return
  end
  collector.every(self.dice:pick({ 0, 1 + self.dice:below(5),
    1 + self.dice:below(5), 5 + self.dice:below(100) }))
  for _ = 1, 5 + self.dice:below(10) do
    self.dice:pick(ACTIONS)(self, self.dice)
  end
  collector.every(0)
  assert(self.node:is_open(), "the node is closed")
  assert_none_lost(self)
end

-- Asserts that the node works with other policies.
local function check_node(self)
  assert_held(self)
  local keeper = self.kind == "table" and { assert(load(KEEPER))() }
    or { self:path("-keeper") }
  assert(replace(self, keeper))
  kad.sleep(2)
  assert(self.other:ping(self.address))
  assert(self.other:call(self.address, "keeper_alive"))
  assert_held(self)
  assert(self.other:get(kad.key("kept 1"), { type = "kept" }) == "kept 1")
end

local function finish(self)
  local config = { limits = false, max_pending_hooks = 100 }
  local began = os.clock()
  self.net = kad.sim({ join = false, seed = self.seed & 0xffff,
    config = config })
  local keeper = self.kind == "table" and { assert(load(KEEPER))() }
    or { self:path("-keeper") }
  self.node = assert(self.net:open({ policies = keeper,
    policy_instructions = INSTRUCTIONS,
    policy_memory = self.dice:pick(MEMORY) }))
  self.other = assert(self.net:open({ policies = { { types = {
    note = { republish = false }, kept = { republish = false } } } } }))
  self.address = self.node:addresses()[1]
  self.stand_in = self.node
  self.net:perform(function()
    assert(self.other:bootstrap(self.node:addresses()))
    kad.sleep(5)
    store_records(self)
    attack(self)
    check_node(self)
  end)
  local took = os.clock() - began
  assert(took < CPU_SECONDS, ("it took %.1f s"):format(took))
  assert(not self.nameless, "a failure without name: "
    .. tostring(self.nameless))
  self.passed = true
end

attacker.run({ name = "policies", steps = 8, begin = begin, step = step,
  finish = finish })

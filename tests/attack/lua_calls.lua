--- Attacks the Lua API with nonsense calls: `make attack TESTS=lua_calls`.
--
-- A case is a small simulation and calls of the documented functions and
-- methods with arguments of every type and number: open and closed objects,
-- those of another simulation, callbacks that raise, wait and close. A call
-- raises an error that blames its caller, or returns; a failure is nil,
-- message, code.

local api = require("tests.attack.lua.api")
local attacker = require("tests.attack.lua.attacker")
local Dice = require("tests.attack.lua.dice")
local kad = require("kadenza")
local log = require("kadenza.log")
local uv = require("luv")

local OWN <const> = "raised by a callback" -- what the callbacks of a case raise
local OWN_OBJECT <const> = setmetatable({ OWN }, { __tostring = function()
  return OWN
end })
local SECONDS <const> = 30 -- of virtual time that a call may wait
local MAX_ARGUMENTS <const> = 6

local CALLS <const> = api.calls()

------------------------------------------------------------------- values --

local NUMBERS <const> = { 0, 1, -1, 2, 3, 0.5, -0.5, 1e300, 1 / 0, -1 / 0,
  0 / 0, 160, 256, 6881, 65536, 1 << 32, 2 ^ 53, math.maxinteger,
  math.mininteger }

local STRINGS <const> = { "", "x", "\0", "a\0b", "note", "value", "peers",
  "127.0.0.1:1", "20.0.1.1:6881", "[::1]:9", "[", "1.2.3.4", "ping", "silent",
  ("k"):rep(20), ("s"):rep(32), ("l"):rep(64), ("t"):rep(300), "\xff\xfe",
  "\27[31m", "%s%n", "error", "none", "open", "symmetric", "build/none" }

local FIELDS <const> = { "timeout", "quorum", "type", "all", "secret", "salt",
  "seq", "ttl", "nodes", "seed", "latency", "loss", "listen", "bootstrap", "k",
  "policies", "state", "value", "key", "id", "address", "from", "to", "rate",
  "seconds", "limits", "config", "join", "idle", "level", "sink", "n", "name",
  "on_reply", "callback", "max_size", "publisher", "every", "rpc", "types" }

local function callback(self)
  local dice = self.dice
  return dice:pick({
    function() end,
    function(...) return ... end,
    function() error(OWN, 0) end,
    function() error(OWN_OBJECT) end,
    function() kad.sleep(0.1) end,
    function() coroutine.yield(1) end,
    function() self.nodes[1]:close() end,
    function() return nil, "no", "KAD_EINVAL" end,
    tostring,
  })
end

local value

local function hostile(self)
  local fields = {}
  for _, name in ipairs({ "__index", "__len", "__pairs", "__tostring", "__eq",
    "__call", "__close", "__name", "__newindex", "__gc" }) do
    if self.dice:one_in(3) then
      fields[name] = callback(self)
    end
  end
  local finalize = fields.__gc
  fields.__gc = finalize and function(...)
    self.has_finalized = true
    finalize(...)
  end
  return setmetatable({ value(self, 3) }, fields)
end

local function small_table(self, depth)
  local made = {}
  for i = 1, self.dice:below(4) do
    local key = self.dice:one_in(3) and i or self.dice:pick(FIELDS)
    made[key] = value(self, depth + 1)
  end
  return made
end

local KINDS <const> = {
  function() return nil end,
  function(self) return self.dice:one_in(2) end,
  function(self) return self.dice:pick(NUMBERS) end,
  function(self) return self.dice:pick(STRINGS) end,
  function(self) return self.dice:pick(STRINGS) end,
  function(self) return self.dice:bytes(20) end,
  callback,
  callback,
  function() return coroutine.create(function() end) end,
  function(self)
    return self.dice:pick(self.objects[self.dice:pick(api.OBJECTS)])
  end,
  function() return io.stdout end,
}

function value(self, depth)
  if depth < 3 and self.dice:one_in(4) then
    return (self.dice:one_in(3) and hostile or small_table)(self, depth)
  end
  return self.dice:pick(KINDS)(self)
end

-------------------------------------------------------------------- world --

local Case = {}
Case.__index = Case

function Case:__close()
  for _, net in ipairs(self.nets) do
    pcall(net.close, net)
  end
  kad.loop.use(nil)
  log.restore(self.log)
end

local POLICY <const> = { types = { note = { republish = false } },
  rpc = { sing = function() return { la = 1 } end } }

-- What calls write goes to a folder of its own.
local function enter_folder()
  local folder = "build/attack/lua_calls"
  if uv.fs_stat(folder) or uv.fs_stat("build/attack") then
    uv.fs_mkdir(folder, tonumber("700", 8))
    assert(uv.chdir(folder))
  end
end

local function begin(seed, show)
  enter_folder()
  local self = setmetatable({ dice = Dice.new(seed + 1), show = show,
    calls = {}, nets = {} }, Case)
  self.log = log.configure({ level = "debug", sink = function(event)
    show("log: %s %s", event.message, tostring(event.fields.error or ""))
  end })
  for i = 1, 2 do
    self.nets[i] = kad.sim({ nodes = 3, seed = i, policies = { POLICY } })
  end
  return self
end

-- Makes objects in every state. Called in a task.
local function make_objects(self)
  local net, other = self.nets[1], self.nets[2]
  local closed = assert(net:open({}))
  closed:close()
  local shut = kad.sim({ nodes = 1 })
  shut:close()
  self.nodes = net.nodes
  self.objects = {
    node = { net.nodes[1], net.nodes[2], net.nodes[3], closed,
      other.nodes[1] },
    task = { kad.spawn(function() end), kad.spawn(kad.sleep, 1),
      kad.spawn(kad.wait, function() end) },
    net = { net, other, shut },
    network = { net.nodes[1]:network(), closed:network(),
      other.nodes[1]:network() },
    kad = { kad },
  }
  self.objects.task[3]:cancel()
end

-------------------------------------------------------------------- calls --

local function describe(values)
  local texts = {}
  for i = 1, values.n do
    local item = values[i]
    texts[i] = type(item) == "string" and ("%q"):format(item)
      or type(item) == "table" and "a table" or type(item) == "function"
      and "a function" or tostring(item)
  end
  return table.concat(texts, ", ")
end

-- What Lua says of metamethods and callbacks of the case that do nonsense.
local METAMETHODS <const> = { "'__tostring' must return a string",
  "object length is not an integer", "for iterator",
  "attempt to yield from outside a coroutine", "only a task can wait",
  "nothing left to do" } -- the case has closed the network

local function is_of_metamethod(err)
  for _, text in ipairs(METAMETHODS) do
    if err:find(text, 1, true) then
      return true
    end
  end
  return false
end

-- Returns whether a finalizer has closed what a call was about to use.
local function is_of_finalizer(self, err)
  return self.has_finalized and (err:find(": closed node", 1, true)
    or err:find(": closed network", 1, true))
end

-- Returns what is wrong with an error, or nil.
local function error_problem(self, err)
  if type(err) == "table" and rawget(err, 1) == OWN then
    return nil
  elseif type(err) ~= "string" then
    return "an error that is a " .. type(err)
  elseif err:find(OWN, 1, true) then
    return nil
  elseif is_of_metamethod(err) or is_of_finalizer(self, err) then
    return nil
  elseif err:find("scripts/kadenza/", 1, true) then
    return "an error inside of the library"
  elseif err:find("to '?'", 1, true) or err:find("traceback", 1, true) then
    return "an error without names"
  end
end

-- Returns what is wrong with the results of a call, or nil.
local function result_problem(results)
  local message, code = results[2], results[3]
  if results[1] ~= nil or results.n < 3 or type(message) ~= "string" then
    return nil
  elseif type(code) ~= "string" or not code:find("^KAD_E%u+$") then
    return "a failure without code"
  elseif message:find("scripts/kadenza/", 1, true)
    or message:find("traceback", 1, true)
  then
    return "a failure inside of the library"
  end
end

local function check_call(self, call, arguments)
  local results = table.pack(pcall(kad.timeout, SECONDS, function()
    return call.fn(table.unpack(arguments, 1, arguments.n))
  end))
  local problem
  if results[1] then
    problem = result_problem(table.pack(table.unpack(results, 2, results.n)))
  else
    problem = error_problem(self, results[2])
  end
  self.show("  %s", describe(results))
  if problem then
    error(("%s: %s(%s): %s"):format(problem, call.name, describe(arguments),
      describe(results)), 0)
  end
end

-- Makes the arguments of a call. A method gets its object, most times.
local function make_arguments(self, call)
  local arguments = { n = 0 }
  local function add(item)
    arguments.n = arguments.n + 1
    arguments[arguments.n] = item
  end
  if call.object and not self.dice:one_in(20) then
    add(self.dice:pick(self.objects[call.object]))
  end
  for _ = 1, self.dice:below(MAX_ARGUMENTS) do
    add(value(self, 0))
  end
  return call.bound and call.bound(arguments) or arguments
end

local function play_call(self, seed)
  self.dice = Dice.new(seed)
  local chosen = self.dice:pick(CALLS)
  local arguments = make_arguments(self, chosen)
  local fn = chosen.find(arguments)
  if fn then
    self.show("%s(%s)", chosen.name, describe(arguments))
    check_call(self, { name = chosen.name, fn = fn }, arguments)
  end
end

local function step(self, seed)
  table.insert(self.calls, seed)
end

local function finish(self)
  local passed, problem = pcall(self.nets[1].perform, self.nets[1], function()
    make_objects(self)
    for _, seed in ipairs(self.calls) do
      play_call(self, seed)
      if not self.nets[1].network:is_open() then
        return
      end
    end
  end)
  -- The error of a task that nothing awaited.
  problem = not passed and (error_problem(self, problem)
    and tostring(problem)) or nil
  assert(not problem, problem)
end

attacker.run({ name = "lua_calls", steps = 60, begin = begin, step = step,
  finish = finish })

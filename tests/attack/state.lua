--- Attacks a node with damaged state folders: `make attack TESTS=state`.
--
-- A case damages a folder that a node has saved, or a configuration file, or a
-- policy file. The node starts, or refuses in one line that names the file.
-- What it could not read whole is still in the folder, what was valid is not
-- lost, and it starts again as it started before.

local attacker = require("tests.attack.lua.attacker")
local core = require("kadenza.core")
local damage = require("tests.attack.lua.damage")
local Dice = require("tests.attack.lua.dice")
local kad = require("kadenza")
local literal = require("kadenza.literal")
local log = require("kadenza.log")
local policy = require("kadenza.policy")
local process = require("tests.spec.support.process")
local uv = require("luv")

local FOLDER <const> = "build/attack"
local STATE <const> = { "node.state", "own.state" }
local NAMES <const> = { "node.state", "own.state", "own.state", "node.lock" }
local CPU_SECONDS <const> = 20 -- of an opening
local HANG_SECONDS <const> = 200 -- of the clock; machines can be busy
local PUBLICATIONS <const> = 3
local PROGRAM <const> = 24 -- one in so many cases starts the program

local CONFIG <const> = [[
-- A node.
return {
  listen = { "127.0.0.1:0" },
  bootstrap = { "127.0.0.1:9", 'localhost:7' },
  k = 20, limits = { queries_per_s = 2000 },
  allow_local = true, state = "somewhere", --[=[ long ]=]
}
]]

local POLICY <const> = [[
local kad = require("kadenza")
return { name = "plain", version = 2,
  types = { note = { max_size = 80, validate = function(record)
    return #record.value < 50 or nil, "too long"
  end } },
  rpc = { greet = function(request) return { text = "hello" } end },
  every = { { seconds = 10, run = function() end } },
  samples = { types = { note = { "a", { value = "b", seq = 1 } } } },
}
]]

log.configure({ sink = function() end })

------------------------------------------------------------------ folders --

local function open_node(folder)
  return kad.node({ listen = "127.0.0.1:0", allow_local = true,
    state = folder })
end

-- Makes the folder that cases copy: what a node has saved.
local function make_template(folder)
  damage.execute("rm -rf %s", folder)
  kad.run(function()
    local node = assert(open_node(folder))
    local other = assert(kad.node({ listen = "127.0.0.2:0",
      allow_local = true }))
    assert(node:bootstrap(other:addresses()))
    for i = 1, PUBLICATIONS do
      assert(node:publish(kad.key("key " .. i), "value " .. i,
        { ttl = 86400 * i, salt = "s" .. i }))
    end
    node:close()
    other:close()
  end, { timeout = 30 })
end

local template -- made once in a process

local function list_files(folder)
  local pipe <close> = assert(io.popen(("find '%s' -maxdepth 1 -type f")
    :format(folder)))
  local files = {}
  for path in pipe:lines() do
    files[path] = damage.read(path)
  end
  return files
end

-- Returns the bytes of the files of the state that can be read.
local function read_state(folder)
  local bytes = {}
  for _, name in ipairs(STATE) do
    local text = core.read_saved(folder .. "/" .. name, 64 << 20)
    bytes[name] = text or nil
  end
  return bytes
end

local function is_among(files, bytes)
  for _, other in pairs(files) do
    if other == bytes then
      return true
    end
  end
  return false
end

------------------------------------------------------------------- checks --

local function check_message(message, name)
  assert(type(message) == "string", "no message")
  assert(message:find(name, 1, true), "a message without file: " .. message)
  assert(not message:find("\n", 1, true) and not message:find("traceback", 1,
    true), "a message of several lines: " .. message)
end

local function find_publication(node, record)
  for _, one in ipairs(node:publications()) do
    if one.key == record.key and one.value == record.value
      and one.salt == record.salt
    then
      return true
    end
  end
  return false
end

-- Returns the decoded state in these bytes, if it is one of version 1.
local function decode_state(bytes)
  local state = bytes and core.decode(bytes)
  return type(state) == "table" and state.version == 1 and state or nil
end

local function is_original(self, record)
  for _, original in ipairs(self.records) do
    if core.encode({ record }) == core.encode({ original }) then
      return true
    end
  end
  return false
end

-- Asserts that the node has what it should know from these bytes.
local function check_known(self, node, before)
  local state = decode_state(before["node.state"])
  if state and state.id == self.id then
    assert(node:id() == self.id, "the id is lost")
  end
  local own = decode_state(before["own.state"])
  local records = own and own.records
  for _, record in pairs(type(records) == "table" and records or {}) do
    if is_original(self, record) then
      assert(find_publication(node, record), "a publication is lost")
    end
  end
end

-- Asserts that files that could not be read whole are still there.
local function check_kept(self, before, node_id)
  local files = list_files(self.folder)
  local bytes = before["node.state"]
  local state = decode_state(bytes)
  assert(not bytes or state and state.id == node_id
    or is_among(files, bytes), "node.state is lost")
  bytes = before["own.state"]
  assert(not bytes or decode_state(bytes) or is_among(files, bytes),
    "own.state is lost")
end

-- Opens a node on the folder; returns its id, or nil and the message.
local function try_node(self, before)
  local id, message
  local began = os.clock()
  kad.run(function()
    local node, problem, code = open_node(self.folder)
    self.show("opened: %s %s", problem or "yes", code or "")
    message = problem
    if node then
      id = node:id()
      check_known(self, node, before)
      node:close()
    end
  end, { timeout = HANG_SECONDS })
  assert(os.clock() - began < CPU_SECONDS, "it took too long")
  return id, message
end

-- Tells whether the node could write its id. What is in the place of the new
-- file keeps it from that.
local function can_save(folder)
  local path = folder .. "/node.state.new"
  return not os.rename(path, path)
end

local function attack_folder(self)
  local before = read_state(self.folder)
  local files = list_files(self.folder)
  local id, message = try_node(self, before)
  if not id then
    check_message(message, self.folder)
    local after = list_files(self.folder)
    for path, bytes in pairs(files) do
      assert(path:find("node.lock", 1, true) or is_among(after, bytes),
        path .. " was changed")
    end
    return
  end
  check_kept(self, before, id)
  local again, problem = try_node(self, {})
  assert(again, problem)
  assert(again == id or not can_save(self.folder), "another id")
end

-- The program, too, starts or says why not, and ends when it is asked.
local function attack_program(self)
  local node = process.start({ "run", "--listen", "127.0.0.1:0",
    "--allow-local", "--state", self.folder })
  node:wait_for("id=%x+\n", "stdout", true)
  node:kill("sigterm")
  assert(node:wait() == 0, node.stderr)
end

local function check_program(self)
  local refused = process.run({ "id", "--state", self.folder })
  assert(refused.status == 0 or refused.status == 1, refused.stderr)
  local passed, problem = pcall(attack_program, self)
  process.end_all()
  if not passed then
    local status, text = tostring(problem):match("status: (%d+).-stderr: (.*)$")
    assert(status == "1", problem)
    for line in text:gmatch("[^\n]+") do
      assert(line:find("^kadenza: ") or line:find("^%d+%-"), problem)
    end
  end
end

------------------------------------------------------------- single files --

local function corrupt(dice, text)
  for _ = 1, 1 + dice:below(3) do
    local at = 1 + dice:below(#text)
    text = text:sub(1, at - 1)
      .. dice:pick({ "", "", dice:bytes(2), "{", "}", '"', "[[", "--", "1e999",
        "0x", "\27Lua", "\xef\xbb\xbf", "function()", "((", ("{"):rep(300),
        "= =", "nil", "goto x", "\0" })
      .. text:sub(at + dice:below(12))
  end
  return text
end

local SPECIAL <const> = { "mkdir %s", "mkfifo %s", "ln -s nowhere %s",
  "ln -s /dev/zero %s", "ln -s %s %s", "true %s" }

local function attack_file(self, text, try)
  local path = self.folder .. ".lua"
  if self.dice:one_in(8) then
    damage.execute(self.dice:pick(SPECIAL), path, path)
  else
    damage.write(path, corrupt(self.dice, text))
  end
  local value, message = try(path)
  self.show("read: %s", message or "yes")
  if value == nil then
    check_message(message, path)
  end
  damage.execute("rm -rf %s", path)
end

-------------------------------------------------------------------- cases --

local Case = {}
Case.__index = Case

function Case:__close()
  process.end_all()
  damage.execute("chmod 700 %s; rm -rf %s", self.folder, self.folder)
  damage.execute("rm -rf %s", self.folder .. ".lua")
end

local function begin(seed, show)
  if not template then
    template = ("%s/state-of-%d"):format(FOLDER, uv.os_getpid())
    make_template(template)
  end
  local self = setmetatable({ show = show, dice = Dice.new(seed + 1),
    folder = ("%s/state-%d"):format(FOLDER, seed) }, Case)
  damage.execute("rm -rf %s; cp -r %s %s", self.folder, template, self.folder)
  self.id = core.decode(damage.read(template .. "/node.state")).id
  self.records = core.decode(damage.read(template .. "/own.state")).records
  assert(#self.records == PUBLICATIONS)
  return self
end

local function step(self, seed)
  local dice = Dice.new(seed)
  local name, way = dice:pick(NAMES), dice:below(#damage.WAYS) + 1
  self.show("damage %d of %s", way, name)
  damage.WAYS[way](dice, self.folder, name)
end

local function finish(self)
  if self.dice:one_in(4) then
    attack_file(self, CONFIG, function(path)
      return literal.read(path, "regular")
    end)
    attack_file(self, POLICY, policy.check)
  elseif self.dice:one_in(PROGRAM) then
    check_program(self)
  else
    attack_folder(self)
  end
end

-- The folder that cases copy goes with the process.
local _ <close> = setmetatable({}, { __close = function()
  damage.execute("rm -rf %s", template or FOLDER .. "/none")
end })

attacker.run({ name = "state", steps = 3, begin = begin, step = step,
  finish = finish })

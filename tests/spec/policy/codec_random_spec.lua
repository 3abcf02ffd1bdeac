-- A codec that returns random messages, whose fields are valid, nearly valid or
-- nonsense, does not harm its node.
--
-- Tests bindings/policy/codec.c, bindings/policy/message.c.

local kad = require("kadenza")
local support = require("tests.spec.support")

local ROUNDS <const> = 4000

-- Returns a generator of numbers below a bound, the same for each seed.
local function dice(seed)
  local state = seed
  return function(bound)
    state = (state * 6364136223846793005 + 1442695040888963407) & ~0
    return (state >> 33) % bound
  end
end

local function pick(roll, list)
  return list[roll(#list) + 1]
end

local function bytes(roll, most)
  local text = {}
  for i = 1, roll(most + 1) do
    text[i] = string.char(roll(256))
  end
  return table.concat(text)
end

local nonsense

-- Returns a random value: a table up to a few levels deep.
local function random_table(roll, depth)
  local made = {}
  for i = 1, roll(6) do
    local key = roll(2) == 0 and i or bytes(roll, 6)
    made[key] = nonsense(roll, depth + 1)
  end
  return made
end

function nonsense(roll, depth)
  local kind = roll(depth > 3 and 8 or 10)
  if kind == 0 then
    return roll(1 << 30) - (1 << 29)
  elseif kind == 1 then
    return pick(roll, { math.mininteger, math.maxinteger, -1, 0, 0.5, 0 / 0,
      1 / 0, 2 ^ 53, 4294967295, 4294967296 })
  elseif kind == 2 then
    return roll(2) == 0
  elseif kind == 3 then
    return print
  elseif kind <= 7 then
    return bytes(roll, pick(roll, { 0, 1, 20, 32, 64, 300 }))
  end
  return random_table(roll, depth)
end

local function list_of(make)
  return function(roll)
    local list = {}
    for i = 1, roll(pick(roll, { 2, 9, 70, 200 })) do
      list[i] = make(roll)
    end
    return list
  end
end

local function id(roll)
  return ("i"):rep(19) .. string.char(roll(256))
end

local function address(roll)
  return pick(roll, { "10.0.0.2:1", "192.0.2.1:6881", "[2001:db8::1]:5",
    "0.0.0.0:0", "10.0.0.3:0" })
end

local function record(roll)
  return {
    value = roll(3) == 0 and "5:hello" or bytes(roll, 60),
    salt = roll(3) == 0 and bytes(roll, 70) or nil,
    seq = roll(3) == 0 and roll(100) or nil,
    publisher = roll(4) == 0 and ("p"):rep(32) or nil,
    signature = roll(4) == 0 and ("s"):rep(64) or nil,
    ttl = roll(3) == 0 and roll(5000) or nil,
  }
end

local function contact(roll)
  return { id = id(roll), address = address(roll) }
end

local function flag(roll)
  return roll(2) == 0
end

-- Valid values of each field.
local FIELDS <const> = {
  kind = function(roll)
    return pick(roll, { "query", "query", "reply", "error" })
  end,
  transaction = function(roll)
    return ("t"):rep(1 + roll(33))
  end,
  id = id,
  version = function(roll) return bytes(roll, 8) end,
  observed = address,
  read_only = flag,
  method = function(roll)
    return pick(roll, { "ping", "find_node", "get_peers", "announce_peer",
      "find_value", "store", "get", "put", "sample_infohashes", "sing",
      "dance" })
  end,
  target = id,
  want4 = flag,
  want6 = flag,
  port = function(roll) return roll(65536) end,
  implied_port = flag,
  seed = flag,
  scrape = flag,
  noseed = flag,
  item = flag,
  seq = function(roll) return roll(9) - 4 end,
  cas = function(roll) return roll(9) - 4 end,
  seed_filter = function(roll) return bytes(roll, 300) end,
  peer_filter = function() return ("f"):rep(256) end,
  samples = function(roll) return ("s"):rep(20 * roll(4) + roll(2)) end,
  num = function(roll) return roll(50) end,
  interval = function(roll) return roll(50) end,
  type = function(roll)
    return pick(roll, { "value", "peers", "none", ("x"):rep(33) })
  end,
  skip = function(roll) return roll(5) end,
  ttl = function(roll) return roll(1000) end,
  token = function(roll) return bytes(roll, 66) end,
  args = function(roll) return { a = roll(9), b = { bytes(roll, 9) } } end,
  reply = function(roll) return { a = roll(9) } end,
  nodes = list_of(contact),
  nodes6 = list_of(contact),
  peers = list_of(address),
  records = list_of(record),
  errors = list_of(function(roll)
    return { index = roll(3), code = 200 + roll(9), reason = bytes(roll, 9) }
  end),
  total = function(roll) return roll(50) end,
  stored = function(roll) return roll(50) end,
  code = function(roll) return roll(400) end,
  text = function(roll) return bytes(roll, 300) end,
}

local NAMES <const> = {}
for name in pairs(FIELDS) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

local function random_message(roll)
  local message = {}
  for _, name in ipairs(NAMES) do
    local luck = roll(40)
    if luck > 3 then
      message[name] = FIELDS[name](roll)
    elseif luck == 0 then
      message[name] = nonsense(roll, 0)
    end
  end
  return message
end

describe("a codec that returns random messages", function()
  for seed = 1, 3 do
    it("does not harm its node, seed " .. seed, support.spec(function()
      local roll = dice(seed)
      local net <close> = kad.sim({ join = false, seed = seed })
      local written = 0
      support.logged(function()
        local node = assert(net:open({
          limits = false,
          transport = { send = function() end },
          policies = { {
            codec = {
              encode = function(message)
                written = written + 1
                return roll(9) > 0 and message.kind or nil, "not now"
              end,
              decode = function()
                return random_message(roll)
              end,
            },
            rpc = {
              sing = function(request)
                return { back = request.args.a }
              end,
            },
          } },
        }))
        net:perform(function()
          for i = 1, ROUNDS do
            if i % 40 == 0 then
              node:get(kad.key("a"), function() end)
              node:query(kad.key("a"), "sing", nil, function() end)
              kad.sleep(0.2)
            end
            node:receive("x", "10.0.0.2:1")
          end
          kad.sleep(10)
        end)
        local stats = node:stats()
        assert.is_true(stats.datagrams_in >= ROUNDS)
        assert.is_true(stats.dropped_malformed > ROUNDS // 4)
        assert.is_true(stats.dropped_malformed < stats.datagrams_in)
        assert.is_true(stats.served_find_node > 0)
        assert.is_true(stats.served_custom > 0)
        assert.is_true(written > 0)
      end)
    end))
  end
end)

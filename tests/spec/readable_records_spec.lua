-- Tests core/rpc/record_size.c: what a node of an overlay accepts, the
-- others can read, with KRPC and with a codec that needs more bytes.

local kad = require("kadenza")

local JSON <const> = { file = "scripts/examples/json/codec.lua",
  trusted = true }
local SALTS <const> = { 1, 64 }

-- Stores a value of `size` bytes, and a short one under the same key. Returns
-- whether the value was accepted; what is accepted must be read by each node.
local function stores(net, size, options)
  local key = kad.key(("%d %s"):format(size, options.salt or ""))
  local value = ("v"):rep(size)
  local writer, reader = net.nodes[1], net.nodes[#net.nodes]
  local stored, _, code = writer:put(key, value, options)
  assert(writer:put(key, "short"))

  local values = {}
  for _, record in ipairs(assert(reader:get(key, { all = true }))) do
    values[record.value] = true
  end

  assert.is_true(values.short)
  if not stored then
    assert.equal("KAD_ETOOBIG", code)
    return false
  end
  assert.is_true(values[value], "cannot read " .. size)
  return true
end

-- Returns the size of the largest value that is accepted.
local function largest(net, options)
  local least, most = 10, 1000
  while least < most do
    local size = (least + most + 1) // 2
    if stores(net, size, options) then
      least = size
    else
      most = size - 1
    end
  end
  return least
end

describe("records that an overlay accepts", function()
  for codec, policies in pairs({ KRPC = {}, JSON = { JSON } }) do
    for _, max_reply in ipairs({ 512, 800, 1452 }) do
      it(("are read with %s and replies of %d bytes"):format(codec, max_reply),
        function()
          local net <close> = kad.sim({ nodes = 4, seed = 1,
            policies = policies, config = { max_reply = max_reply } })
          net:perform(function()
            local plain = largest(net, {})
            local secret = kad.keypair().secret
            for _, length in ipairs(SALTS) do
              local signed = largest(net, { secret = secret, seq = 1 << 40,
                salt = ("s"):rep(length) })
              assert.is_true(signed <= plain)
            end
            if codec == "KRPC" and max_reply == 1452 then
              assert.equal(1000, plain)
            end
          end)
        end)
    end
  end
end)

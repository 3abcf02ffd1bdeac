--- json: a DHT of five nodes on this machine that speak JSON.
--
--     $ lua5.4 scripts/examples/json/json.lua
--     {"kind":"query","method":"ping", ...}
--     stored at 5 nodes
--     said in JSON
--
-- Prints the first datagram, stores a value and gets it from another node.
-- codec.lua beside this file contains the encoding; it requires lua-cjson.

local kad = require("kadenza")

local NODES <const> = 5
local FOLDER <const> = arg[0]:match("^(.*)/[^/]*$") or "."

-- Returns the policy of codec.lua in a version that prints its first datagram.
local function with_output(codec)
  local has_printed = false
  return {
    name = "json",
    codec = {
      encode = function(message)
        local bytes = codec.encode(message)
        if not has_printed then
          print(bytes)
          has_printed = true
        end
        return bytes
      end,
      decode = codec.decode,
    },
  }
end

local function open_nodes()
  local quiet = { file = FOLDER .. "/codec.lua", trusted = true }
  local loud = with_output(dofile(quiet.file).codec)
  local nodes = {}
  for i = 1, NODES do
    nodes[i] = assert(kad.node({
      listen = "127.0.0.1:0",
      allow_local = true,
      policies = { i == 2 and loud or quiet },
    }))
    if i > 1 then
      assert(nodes[i]:bootstrap(nodes[1]:addresses()))
    end
  end
  return nodes
end

kad.run(function()
  local nodes = open_nodes()
  local key = kad.key("greeting")
  local info = assert(nodes[2]:put(key, "said in JSON"))
  print("stored at " .. info.stored .. " nodes")
  print((assert(nodes[NODES]:get(key))))
end, { timeout = 20 })

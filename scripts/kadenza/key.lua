--- Keys, ids and signatures: binary strings of the overlay's width.
--
--     local where = key.of("visits")          -- 20 bytes
--     print(key.hex(where))
--     local pair = key.keypair()              -- Ed25519
--     node:put(where, "1", { secret = pair.secret })

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local task = require("kadenza.task")

local M = {}

-- An error of the core is a mistake of the caller: `errors.at_level` is a tail
-- call, so that level 1 is the caller.

--- Hashes a name to a key of 160 bits, or 256.
---@param name string
---@param bits? 160|256
---@return string key
function M.of(name, bits)
  return errors.at_level(1, core.key, name, bits)
end

--- Writes bytes in hexadecimal.
---@param bytes string
---@return string text
function M.hex(bytes)
  return errors.at_level(1, core.hex, bytes)
end

--- Reads hexadecimal text.
---@param text string
---@return string? bytes
---@return string? message
---@return kadenza.Code? code
function M.unhex(text)
  return errors.at_level(1, core.unhex, text)
end

--- Returns the XOR of two ids, and how many leading bits they share.
---@param a string
---@param b string
---@return string distance
---@return integer prefix
function M.distance(a, b)
  return errors.at_level(1, core.distance, a, b)
end

--- Tells which id is closer to `target`: -1 for `a`, 1 for `b`, 0 for a tie.
---@param target string
---@param a string
---@param b string
---@return integer order
function M.compare(target, a, b)
  return errors.at_level(1, core.compare, target, a, b)
end

--- Makes an Ed25519 key pair, from 32 secret bytes or at random.
---@param seed? string
---@return { publisher: string, secret: string } pair
function M.keypair(seed)
  seed = seed or task.network():random(32)
  local publisher, secret = errors.at_level(2, core.keypair, seed)
  return { publisher = publisher, secret = secret }
end

--- Returns the public key that belongs to a secret key.
---@param secret string  64 bytes
---@return string publisher  32 bytes
function M.publisher(secret)
  if type(secret) ~= "string" or #secret ~= 64 then
    error("a secret has 64 bytes", 2)
  end
  return secret:sub(33)
end

--- Signs a record table (key, type, value and, if it has them, salt and seq),
--- or bytes. Let nobody else choose how bytes begin that you sign: they might
--- read as a record.
---@param what table|string
---@param secret string
---@param bits? 160|256  width of the overlay's keys
---@return string? signature
---@return string? message
---@return kadenza.Code? code
function M.sign(what, secret, bits)
  return errors.at_level(1, core.sign, what, secret, bits)
end

--- Tells whether a signature of bytes is the publisher's. What has the wrong
--- size is not.
---@param publisher string
---@param message string
---@param signature string
---@return boolean valid
function M.verify(publisher, message, signature)
  return errors.at_level(1, core.verify, publisher, message, signature)
end

--- Returns 32 bytes that stand for any others: BLAKE2b-256.
---@param bytes string
---@return string hash
function M.hash(bytes)
  return errors.at_level(1, core.key, bytes, 256)
end

return M

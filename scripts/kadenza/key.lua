--- Keys and ids, binary strings of the overlay's width, and signatures.
--
--     local visits = key.of("visits")         -- 20 bytes
--     print(key.hex(visits))
--     local pair = key.keypair()              -- Ed25519
--     node:put(visits, "1", { secret = pair.secret })

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

--- Returns bytes as hexadecimal digits.
---@param bytes string
---@return string text
function M.hex(bytes)
  return errors.at_level(1, core.hex, bytes)
end

--- Returns the bytes of hexadecimal digits.
---@param text string
---@return string? bytes
---@return string? message
---@return kadenza.Code? code
function M.unhex(text)
  return errors.at_level(1, core.unhex, text)
end

--- Returns the XOR of two ids, and the number of leading bits that are equal.
---@param a string
---@param b string
---@return string distance
---@return integer prefix
function M.distance(a, b)
  return errors.at_level(1, core.distance, a, b)
end

--- Compares the distances of two ids to `target`.
---@param target string
---@param a string
---@param b string
---@return integer order  -1: `a` is closer, 1: `b` is closer, 0: they are equal
function M.compare(target, a, b)
  return errors.at_level(1, core.compare, target, a, b)
end

--- Makes a random id that fits an address (BEP 42): its first 21 bits come from
--- the address. Nodes that verify ids prefer such ones, or take no others.
---@param address string  such as "192.0.2.1", "[2001:db8::1]:6881"
---@param bits? 160|256
---@return string id
function M.secure_id(address, bits)
  if bits ~= nil and bits ~= 160 and bits ~= 256 then
    error("the width is 160 or 256 bits", 2)
  end
  local random = task.network():random((bits or 160) // 8)
  return errors.at_level(1, core.bind_id, random, address)
end

--- Returns an id with the bits that an address gives it in place of its first
--- 21 (BEP 42); its last three bits choose one of eight such prefixes.
---@param id string
---@param address string  such as "192.0.2.1", "[2001:db8::1]:6881"
---@return string id
function M.bind_id(id, address)
  return errors.at_level(1, core.bind_id, id, address)
end

--- Tells whether an id fits an address, or the address is local, where every id
--- fits (BEP 42).
---@param id string
---@param address string  such as "192.0.2.1", "[2001:db8::1]:6881"
---@return boolean fits
function M.is_secure_id(id, address)
  return errors.at_level(1, core.is_secure_id, id, address)
end

--- Makes an Ed25519 key pair.
---@param seed? string  32 secret bytes; random without them
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

--- Signs a record, a table with key, type, value and, if present, salt and seq;
--- or bytes. Never sign bytes whose beginning another party has chosen: they
--- may be the signed form of a record.
---@param what table|string
---@param secret string
---@param bits? 160|256  width of the overlay's keys
---@return string? signature
---@return string? message
---@return kadenza.Code? code
function M.sign(what, secret, bits)
  return errors.at_level(1, core.sign, what, secret, bits)
end

--- Tells whether a signature of bytes is valid. A key or signature of the wrong
--- size is not.
---@param publisher string
---@param message string
---@param signature string
---@return boolean valid
function M.verify(publisher, message, signature)
  return errors.at_level(1, core.verify, publisher, message, signature)
end

--- Returns the BLAKE2b-256 hash of bytes, 32 bytes.
---@param bytes string
---@return string hash
function M.hash(bytes)
  return errors.at_level(1, core.key, bytes, 256)
end

return M

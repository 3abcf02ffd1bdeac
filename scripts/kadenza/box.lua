--- Texts for one recipient: the public key seals a text, and only the secret
--- key opens it.
--
--     local pair = kad.box.keypair()
--     local sealed = assert(kad.box.seal(pair.public, "meet at noon"))
--     print(kad.box.open(pair.secret, sealed)) --> meet at noon
--
-- These are the sealed boxes of libsodium (crypto_box_seal: X25519 and
-- XSalsa20-Poly1305). Sealed bytes have 48 bytes more than the text, so that a
-- text of 952 bytes fits into a value. They tell neither the sender nor the
-- recipient: sign the record that contains them, if the sender matters. The
-- keys are not those of `kad.keypair`, which sign. To seal or open takes some
-- 60 µs.

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local task = require("kadenza.task")

local M = {}

local SEED_BYTES <const> = 32

--- Makes a key pair.
---@param seed? string  32 secret bytes; random without them
---@return { public: string, secret: string } pair  32 bytes each
function M.keypair(seed)
  seed = seed or task.network():random(SEED_BYTES)
  local public, secret = errors.at_level(2, core.box_keypair, seed)
  return { public = public, secret = secret }
end

--- Seals a text for the owner of a key pair.
---@param public_key string  32 bytes
---@param text string
---@return string? sealed  48 bytes longer
---@return string? message  the public key is none
---@return kadenza.Code? code
function M.seal(public_key, text)
  return errors.at_level(1, core.box_seal, public_key, text,
    task.network():random(SEED_BYTES))
end

--- Opens what was sealed for a key pair.
---@param secret_key string  32 bytes
---@param sealed string
---@return string? text
---@return string? message  it is not for this key, or was changed
---@return kadenza.Code? code
function M.open(secret_key, sealed)
  return errors.at_level(1, core.box_open, secret_key, sealed)
end

return M

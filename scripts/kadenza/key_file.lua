--- Files with a secret key, perhaps sealed by a passphrase: those of
--- `kadenza keygen`, which sign, and those of `kad.box`, which open texts.
--
--     local key_file = require "kadenza.key_file"
--     local pair = kad.keypair()
--     local options = { passphrase = "a long sentence" }
--     assert(key_file.save("my.key", pair, options))
--     pair = assert(key_file.load("my.key", options))
--     node:put(kad.key("motd"), "hello", { secret = pair.secret })
--
-- A string of Lua cannot be wiped: `key_file.passphrase` reads a passphrase
-- from a file into an object that is. The secret key that `load` returns is a
-- string.
-- docs/operations.md, "Secret keys", describes the form of the files; that of a
-- box has `kadenza box key 1` and `public` for `kadenza secret key 1` and
-- `publisher`, and a secret of 32 bytes.

local check = require("kadenza.check")
local core = require("kadenza.core")
local sealed_lines = require("kadenza.sealed_lines")

local M = {}

local MAX_SIZE <const> = 4096
local MAX_PATH <const> = 4095
local VERSION <const> = 1
local SEED_SIZE <const> = 32

---@class kadenza.SigningPair
---@field publisher string  32 bytes
---@field secret string  64 bytes

---@class kadenza.BoxPair
---@field public string  32 bytes
---@field secret string  32 bytes

---@class kadenza.KeyFileOptions
---@field passphrase? string|kadenza.core.Passphrase  a line of 1 to 1024 bytes
---@field passes? integer  over the memory, 1 to 1024; 3 without it
---@field memory_kib? integer  8 to 1048576; 262144 without it
---@field replace? boolean  also a file that exists

-- The kinds of keys: the name of the public key in a pair and in the text, the
-- bytes of the secret, and the public key that belongs to a secret.
local KINDS <const> = {
  secret = {
    field = "publisher",
    size = 2 * SEED_SIZE,
    public_of = function(secret)
      local publisher, whole = core.keypair(secret:sub(1, SEED_SIZE))
      return whole == secret and publisher or nil
    end,
  },
  box = {
    field = "public",
    size = SEED_SIZE,
    public_of = core.box_public,
  },
}

-- Returns the pair of a secret, or nil if it is none.
local function pair_of(kind, secret)
  local public = secret and #secret == kind.size and kind.public_of(secret)
  return public and { [kind.field] = public, secret = secret } or nil
end

------------------------------------------------------------------- texts --

--- Returns the text of a file with a key pair.
---@param pair kadenza.SigningPair|kadenza.BoxPair
---@param phrase? kadenza.core.Passphrase  seals it
---@param passes? integer  3 without it
---@param memory_kib? integer  262144 without it
---@return string? text
---@return string? message
---@return kadenza.Code? code
function M.format(pair, phrase, passes, memory_kib)
  local name = pair.publisher and "secret" or "box"
  local field = KINDS[name].field
  local public = ("%s %s\n"):format(field, core.hex(pair[field]))
  local head = ("kadenza %s key %d\n%s"):format(name, VERSION, public)
  if phrase then
    local lines, message, code =
      sealed_lines.format(phrase, pair.secret, passes, memory_kib)
    return lines and head .. lines, message, code
  end
  return (name == "secret" and public or head)
    .. ("secret %s\n"):format(core.hex(pair.secret))
end

-- Returns the pair in a text of `keygen` without a passphrase, or nil.
local function parse_plain(text)
  local digits = text:match("^secret (%x+)%s*$")
    or text:match("\nsecret (%x+)%s*$") or text:match("^(%x+)%s*$")
  return digits and pair_of(KINDS.secret, core.unhex(digits))
end

-- Returns the pair in what follows the version of a text, or what it has
-- sealed; nil if it is malformed.
local function parse_rest(kind, version, rest)
  local known, lines = rest:match("^" .. kind.field .. " (%x+)\n(.*)$")
  if not known or #known ~= 2 * SEED_SIZE or tonumber(version) ~= VERSION then
    return nil
  end
  local public = core.unhex(known)
  local digits = lines:match("^secret (%x+)%s*$")
  if digits then
    local pair = pair_of(kind, core.unhex(digits))
    return pair and pair[kind.field] == public and pair or nil
  end
  local sealed = sealed_lines.parse(lines, kind.size)
  if sealed then
    sealed.kind, sealed.public = kind, public
  end
  return nil, sealed
end

--- Returns the pair in the text of a file; or nil, and what a passphrase opens;
--- or nil, nil and why it is no key: "other" for another file, "damaged", or
--- "newer" for one of a newer version.
---@param text string
---@return kadenza.SigningPair|kadenza.BoxPair|nil pair
---@return table? sealed
---@return "other"|"damaged"|"newer"|nil problem
function M.parse(text)
  text = text:gsub("\r\n", "\n")
  local name, version, rest = text:match("^kadenza (%l+) key (%d+)\n(.*)$")
  local kind = KINDS[name]
  if not kind then
    local pair = parse_plain(text)
    return pair, nil, not pair and "other" or nil
  elseif sealed_lines.is_newer(version, VERSION) then
    return nil, nil, "newer"
  end
  local pair, sealed = parse_rest(kind, version, rest)
  return pair, sealed, not (pair or sealed) and "damaged" or nil
end

--- Opens what a passphrase has sealed.
---@param sealed table  of M.parse
---@param phrase kadenza.core.Passphrase
---@return kadenza.SigningPair|kadenza.BoxPair|nil pair
---@return string? message
---@return kadenza.Code? code
function M.open(sealed, phrase)
  local secret, message, code = phrase:open(sealed)
  if not secret then
    return nil, message, code
  end
  local pair = pair_of(sealed.kind, secret)
  if not pair or pair[sealed.kind.field] ~= sealed.public then
    return nil, "its keys do not match", "KAD_EINVAL"
  end
  return pair
end

------------------------------------------------------------------- files --

local function is_passphrase(value)
  return type(value) == "string" or type(value) == "userdata"
end

local PASSPHRASE <const> = { is = is_passphrase, name = "a passphrase" }

local SAVE <const> = {
  passphrase = PASSPHRASE,
  passes = { kind = "integer", default = 3, from = 1, to = 1024 },
  memory_kib = { kind = "integer", default = 262144, from = 8, to = 1 << 20 },
  replace = { kind = "boolean", default = false },
}

local LOAD <const> = { passphrase = PASSPHRASE }

local function check_path(path)
  check.kind(path, "string", "path", 3)
  if path == "" or #path > MAX_PATH or path:find("\0", 1, true) then
    error("path must name a file", 3)
  end
end

-- Calls fn(passphrase) with the passphrase of an option: a string, or an
-- object, which stays open.
local function with_phrase(phrase, fn)
  if type(phrase) ~= "string" then
    return fn(phrase)
  end
  local made, message, code = core.new_passphrase(phrase)
  if not made then
    return nil, message, code
  end
  local object <close> = made
  return fn(object)
end

-- Returns a copy of a pair whose keys belong together, or nil.
local function whole_pair(pair)
  if type(pair) ~= "table" or type(pair.secret) ~= "string" then
    return nil
  end
  local kind = pair.publisher ~= nil and KINDS.secret or KINDS.box
  local whole = pair_of(kind, pair.secret)
  return whole and whole[kind.field] == pair[kind.field] and whole or nil
end

--- Reads a passphrase, the line in a file, into an object that wipes itself.
---@param path string
---@return kadenza.core.Passphrase? passphrase  close it after use
---@return string? message
---@return kadenza.Code? code
function M.passphrase(path)
  check_path(path)
  return core.read_passphrase(path)
end

--- Writes a key pair to a file that only its owner can read: of `kad.keypair`
--- or `kad.box.keypair`. With a passphrase it is sealed; `passes` and
--- `memory_kib` are what Argon2id spends on guesses, and on each use.
---@param path string
---@param pair kadenza.SigningPair|kadenza.BoxPair
---@param options? kadenza.KeyFileOptions
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function M.save(path, pair, options)
  check_path(path)
  options = check.with_defaults(options, 2, SAVE)
  local whole = whole_pair(pair) or error("pair must be a key pair", 2)
  local function write(phrase)
    local text, message, code =
      M.format(whole, phrase, options.passes, options.memory_kib)
    if not text then
      return nil, message, code
    elseif options.replace then
      return core.write_file(path, text, "private")
    end
    return core.create_file(path, text)
  end
  if options.passphrase == nil then
    return write(nil)
  end
  return with_phrase(options.passphrase, write)
end

local PROBLEMS <const> = {
  other = "not a key file",
  damaged = "a key file that is damaged",
  newer = "a newer version of kadenza has made it",
}

--- Reads the key pair in a file.
---@param path string
---@param options? { passphrase?: string|kadenza.core.Passphrase }
---@return kadenza.SigningPair|kadenza.BoxPair|nil pair
---@return string? message
---@return kadenza.Code? code  "KAD_EACCESS": the passphrase is wrong or missing
function M.load(path, options)
  check_path(path)
  options = check.with_defaults(options, 2, LOAD)
  local text, message, code = core.read_file(path, MAX_SIZE)
  if not text then
    return nil, message, code
  end
  local pair, sealed, problem = M.parse(text)
  if problem then
    return nil, path .. ": " .. PROBLEMS[problem], "KAD_EMALFORMED"
  elseif pair then
    return pair
  elseif options.passphrase == nil then
    return nil, path .. ": it has a passphrase", "KAD_EACCESS"
  end
  local opened, why, kind = with_phrase(options.passphrase, function(phrase)
    return M.open(sealed, phrase)
  end)
  if not opened then
    return nil, path .. ": " .. why, kind
  end
  return opened
end

return M

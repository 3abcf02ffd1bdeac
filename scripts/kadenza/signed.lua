--- Who may write: one key, one of several, the first that comes, the one that a
--- key is named after, or each for himself; and those whom they let.
--
--     local signed = require("kadenza.signed")
--
--     types = {
--       notice = signed.type({ by = the_editors_key, delegates = true }),
--       name = signed.type({ by = "first", ttl = 7 * 86400 }),
--     }
--
--     -- The editor lets another key write notices for a day …
--     local certificate = signed.delegate(editor.secret,
--       { to = deputy.publisher, seconds = 86400, type = "notice" })
--     -- … who shows it with what he writes.
--     signed.put(node, key, "closed today", { type = "notice",
--       secret = deputy.secret, certificate = certificate })
--
-- A record has a sequence number, and a change a higher one. Of two records
-- with the same number, the same one counts everywhere.

local check = require("kadenza.check")
local kad = require("kadenza")

local M = {}

local KEY_SIZE <const> = 32
local SECRET_SIZE <const> = 64
local SIGNATURE_SIZE <const> = 64
local MAX_SEQ <const> = 1 << 53
local MAX_TIME <const> = 1 << 40
local MAX_WRITERS <const> = 64
local MAX_SECONDS <const> = 10 * 366 * 86400
-- What is signed for a delegate begins like no record, so that a signature of
-- one cannot stand for the other.
local DOMAIN <const> = "kadenza.signed:"

local REFUSED <const> = 201
local TOO_LOW <const> = 302

local function is_bytes(value, size)
  return type(value) == "string" and #value == size
end

---------------------------------------------------------- certificates --

-- A certificate is { e = when it ends, k = key, o = owner, s = signature,
-- t = type }, k and t where they narrow it. What a delegate writes is
-- { c = certificate, v = value }.

-- Returns what an owner signs for a delegate.
local function signed_text(certificate, delegate)
  return DOMAIN .. kad.bencode.encode({
    d = delegate,
    e = certificate.e,
    k = certificate.k,
    o = certificate.o,
    t = certificate.t,
  })
end

local KINDS <const> = {
  e = function(value)
    return math.type(value) == "integer" and value > 0 and value <= MAX_TIME
  end,
  k = function(value)
    return is_bytes(value, 20) or is_bytes(value, 32)
  end,
  o = function(value)
    return is_bytes(value, KEY_SIZE)
  end,
  s = function(value)
    return is_bytes(value, SIGNATURE_SIZE)
  end,
  t = function(value)
    return type(value) == "string"
  end,
}

-- Tells whether what a stranger sent has the form of a certificate.
local function is_certificate(value)
  if type(value) ~= "table" then
    return false
  end
  for name, part in pairs(value) do
    if not KINDS[name] or not KINDS[name](part) then
      return false
    end
  end
  return value.e ~= nil and value.o ~= nil and value.s ~= nil
end

-- Returns the envelope that a delegate has written, or nil.
local function open_envelope(value)
  local envelope = kad.bencode.decode(value)
  if type(envelope) == "table" and is_certificate(envelope.c)
    and type(envelope.v) == "string"
    and kad.bencode.encode({ c = envelope.c, v = envelope.v }) == value
  then
    return envelope
  end
end

-- Says why a certificate does not let its record be written, or returns nil.
local function find_fault(certificate, record)
  if certificate.e <= kad.time() then
    return "the delegation has expired"
  elseif certificate.t and certificate.t ~= record.type then
    return "the delegation is for another type"
  elseif certificate.k and certificate.k ~= record.key then
    return "the delegation is for another key"
  elseif not kad.verify(certificate.o,
    signed_text(certificate, record.publisher), certificate.s)
  then
    return "the delegation is not signed by its owner"
  end
end

local DELEGATION <const> = {
  to = { kind = "string", bytes = { KEY_SIZE, KEY_SIZE },
    required = "the public key that may write" },
  seconds = { kind = "integer", from = 1, to = MAX_SECONDS,
    required = "how long the delegation lasts" },
  type = { kind = "string" },
  key = { kind = "string" },
}

--- Lets another key write for the owner of a secret, for a while, and if told,
--- records of one type or of one key alone. It cannot be taken back before it
--- ends.
---@param secret string  the owner's, 64 bytes
---@param given { to: string, seconds: integer, type?: string, key?: string }
---@return string certificate
function M.delegate(secret, given)
  if not is_bytes(secret, SECRET_SIZE) then
    error("a secret has 64 bytes", 2)
  end
  given = check.with_defaults(given, 2, DELEGATION)
  if given.key and not KINDS.k(given.key) then
    error("option 'key' must have 20 or 32 bytes", 2)
  end
  local certificate = {
    e = kad.time() + given.seconds,
    k = given.key,
    o = secret:sub(-KEY_SIZE),
    t = given.type,
  }
  certificate.s = assert(kad.sign(signed_text(certificate, given.to), secret))
  return kad.bencode.encode(certificate)
end

--- Returns what a delegate stores: a value, and what lets him.
---@param certificate string
---@param value string
---@return string bytes
function M.wrap(certificate, value)
  local decoded = type(certificate) == "string"
    and kad.bencode.decode(certificate)
  if not is_certificate(decoded) then
    error("that is no certificate: signed.delegate makes one", 2)
  end
  check.kind(value, "string", "value", 2)
  return kad.bencode.encode({ c = decoded, v = value })
end

----------------------------------------------------------------- rules --

-- Each rule says why an owner may not write a record, or returns nil.
local RULES <const> = {
  first = function() end, -- `merge` knows who was first
  anyone = function() end,
  self = function(owner, record)
    if M.key(owner, record.salt, #record.key * 8) ~= record.key then
      return "the key is named after another publisher"
    end
  end,
}

local function is_owner_rule(writers)
  return function(owner)
    if not writers[owner] then
      return "this publisher may not write here"
    end
  end
end

-- Returns a rule for what `by` was given, or raises.
local function make_rule(by)
  if RULES[by] then
    return RULES[by]
  end
  local list, writers = type(by) == "table" and by or { by }, {}
  for _, publisher in ipairs(list) do
    if not is_bytes(publisher, KEY_SIZE) then
      error("option 'by' must be 'first', 'self', 'anyone', or public keys, of "
        .. "32 bytes", 3)
    end
    writers[publisher] = true
  end
  if #list < 1 or #list > MAX_WRITERS then
    error("option 'by' must have 1 to 64 public keys", 3)
  end
  return is_owner_rule(writers)
end

-- Tells whether someone else than the writer may answer for a record: whom the
-- rule names needs nobody.
local function may_be_delegated(rules, record)
  return rules.delegates and (rules.by == "first" or rules.by == "anyone"
    or rules.rule(record.publisher, record) ~= nil)
end

-- Returns who owns a record, its value, and the certificate of a delegate.
local function read(rules, record)
  local envelope = may_be_delegated(rules, record)
    and open_envelope(record.value)
  if envelope then
    return envelope.c.o, envelope.v, envelope.c
  end
  return record.publisher, record.value
end

local function validate(rules, record, ctx)
  if math.type(record.seq) ~= "integer" or record.seq < 0
    or record.seq > MAX_SEQ
  then
    return nil, "a sequence number of 0 to 2^53 is required", REFUSED
  elseif record.salt and rules.by ~= "self" then
    return nil, "a salt has no meaning here", REFUSED
  end
  local owner, value, certificate = read(rules, record)
  local problem = rules.rule(owner, record)
    or certificate and find_fault(certificate, record)
  if problem then
    return nil, problem, REFUSED
  elseif rules.check then
    return rules.check(value, record, ctx)
  end
  return true
end

-- Tells whether a record counts rather than one of the same key: one of two
-- always does, unless they are the same.
local function is_later(a, b)
  if a.seq ~= b.seq then
    return a.seq > b.seq
  elseif a.value ~= b.value then
    return a.value > b.value
  end
  return a.publisher > b.publisher
end

-- Returns the place of the record that another one would replace, or nil.
local function find_rival(rules, held, owner)
  for i, other in ipairs(held) do
    if rules.by ~= "anyone" or read(rules, other) == owner then
      return i
    end
  end
end

local function merge(rules, held, record)
  local owner = read(rules, record)
  local place = find_rival(rules, held, owner)
  local rival = held[place]
  if not rival and #held >= rules.max_values then
    return nil, "there are too many writers", REFUSED
  elseif rival and rules.by == "first" and read(rules, rival) ~= owner then
    return nil, "the key belongs to another publisher", REFUSED
  elseif rival and is_later(rival, record) then
    return nil, "a change needs a higher seq than " .. rival.seq, TOO_LOW
  end
  held[place or #held + 1] = record
  return held
end

-- What a reader gets: values without envelopes, with their owners.
local function select_values(rules, records)
  local values = {}
  for i, record in ipairs(records) do
    local owner, value = read(rules, record)
    values[i] = { value = value, publisher = owner, seq = record.seq,
      salt = record.salt }
  end
  table.sort(values, is_later)
  return values
end

-- A record ends with the delegation that lets it be.
local function expire(rules, record)
  local _, _, certificate = read(rules, record)
  local wished = record.ttl > 0 and record.ttl or rules.ttl
  local left = certificate and certificate.e - kad.time() or wished
  return math.max(1, math.min(left, wished, rules.ttl))
end

local TYPE_OPTIONS <const> = {
  by = { required = "who may write" },
  max_size = { default = 1000, kind = "integer", from = 1, to = 1000 },
  max_values = { default = 64, kind = "integer", from = 1, to = 1024 },
  ttl = { default = 86400, kind = "integer", from = 1, to = 2592000 },
  delegates = { default = false, kind = "boolean" },
  check = { kind = "function" },
}

-- What only delegation needs.
local function add_delegation(type, rules)
  function type.select(records)
    return select_values(rules, records)
  end

  function type.expire(record)
    return expire(rules, record)
  end
end

--- Makes a type of signed records. `by` says who may write: a public key or a
--- list of some; "first", who is there first, until his record ends; "self",
--- whom the key is named after (`signed.key`); "anyone", each a record of his
--- own, of which there are `max_values` (64). With `delegates` those may write,
--- too, whom they let, and readers get what was written without the
--- certificates. `check(value, record, ctx)` may refuse, as `validate` does.
---@param given { by: string|string[], max_size?: integer, max_values?: integer,
---  ttl?: integer, delegates?: boolean, check?: function }
---@return kadenza.Type type
function M.type(given)
  local rules = check.with_defaults(given, 2, TYPE_OPTIONS)
  rules.rule = make_rule(rules.by)
  if rules.by ~= "anyone" then
    rules.max_values = 1
  end
  local made = {
    max_size = rules.max_size,
    max_values = rules.max_values,
    ttl = rules.ttl,
    signed_only = true,
  }

  function made.validate(record, ctx)
    return validate(rules, record, ctx)
  end

  function made.merge(held, record)
    return merge(rules, held, record)
  end

  if rules.delegates then
    add_delegation(made, rules)
  end
  return made
end

--------------------------------------------------------------- writing --

--- Returns the key that is named after a publisher, and a salt if he has
--- several: nobody else can write there where the rule is "self".
---@param publisher string
---@param salt? string
---@param bits? 160|256  of the overlay's keys; a policy file's are its node's
---@return string key
function M.key(publisher, salt, bits)
  if not is_bytes(publisher, KEY_SIZE) then
    error("a public key has 32 bytes", 2)
  end
  return kad.key(publisher .. (salt or ""), bits)
end

local PUT_OPTIONS <const> = {
  type = { kind = "string", required = true },
  secret = { kind = "string", bytes = { SECRET_SIZE, SECRET_SIZE },
    required = true },
  certificate = { kind = "string" },
  salt = { kind = "string" },
  ttl = { kind = "integer", from = 1, to = 2592000 },
  timeout = { kind = "number", from = 0.001, to = 1e6 },
}

-- Returns a sequence number that is higher than what a key has: the time of the
-- day where that is higher, so that it rises after all is lost, too.
local function next_seq(node, key, given)
  local records, message, code = node:get(key,
    { type = given.type, all = true, timeout = given.timeout })
  if not records and code ~= "KAD_ENOTFOUND" then
    return nil, message, code
  end
  local seq = kad.time()
  for _, record in ipairs(records or {}) do
    seq = math.max(seq, (record.seq or 0) + 1)
  end
  return seq
end

--- Stores a value with a sequence number that is higher than what is there. A
--- delegate gives his certificate.
---@async
---@param node kadenza.Node
---@param key string
---@param value string
---@param given { type: string, secret: string, certificate?: string,
---  salt?: string, ttl?: integer, timeout?: number }
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function M.put(node, key, value, given)
  given = check.with_defaults(given, 2, PUT_OPTIONS)
  check.node(node, 2)
  check.id(node, key, "key", 2)
  check.kind(value, "string", "value", 2)
  if given.certificate then
    value = M.wrap(given.certificate, value)
  end
  local seq, message, code = next_seq(node, key, given)
  if not seq then
    return nil, message, code
  end
  return node:put(key, value, { type = given.type, secret = given.secret,
    salt = given.salt, ttl = given.ttl, timeout = given.timeout, seq = seq })
end

return M

--- Signed records: types that restrict which publishers may write under a key,
--- and certificates by which a publisher lets another key write.
--
--     local signed = require("kadenza.signed")
--
--     types = {
--       notice = signed.type({ by = the_editors_key, delegates = true }),
--       name = signed.type({ by = "first", ttl = 7 * 86400 }),
--     }
--
--     -- The editor lets another key write notices for a day.
--     local certificate = signed.delegate(editor.secret,
--       { to = deputy.publisher, seconds = 86400, type = "notice" })
--     -- The deputy stores the certificate with the value.
--     signed.put(node, key, "closed today", { type = "notice",
--       secret = deputy.secret, certificate = certificate })
--
-- Each change of a record has a higher sequence number. Of two
-- records with the same number, all nodes prefer the same one.

local check = require("kadenza.check")
local kad = require("kadenza")
local value_size = require("kadenza.value_size")

local M = {}

local KEY_SIZE <const> = 32
local SECRET_SIZE <const> = 64
local SIGNATURE_SIZE <const> = 64
local MAX_SEQ <const> = 1 << 53
local MAX_TIME <const> = 1 << 40
local MAX_WRITERS <const> = 64
local MAX_SECONDS <const> = 10 * 366 * 86400
-- No record begins with this, so that the signature of a certificate is not
-- valid for a record, nor the reverse.
local DOMAIN <const> = "kadenza.signed:"

local REJECTED <const> = 201
local TOO_LOW <const> = 302

local function is_bytes(value, size)
  return type(value) == "string" and #value == size
end

---------------------------------------------------------- certificates --

-- A certificate is { e = end, k = key, o = owner, s = signature, t = type }; k
-- and t restrict it and are optional. A delegate stores an envelope:
-- { c = certificate, v = value }.

-- Returns the bytes that an owner signs for a delegate.
local function text_to_sign(certificate, delegate)
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

-- Tells whether a value of another node has the form of a certificate.
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

-- Returns the envelope in the value of a record, or nil.
local function decode_envelope(value)
  local envelope = kad.bencode.decode(value)
  if type(envelope) == "table" and is_certificate(envelope.c)
    and type(envelope.v) == "string"
    and kad.bencode.encode({ c = envelope.c, v = envelope.v }) == value
  then
    return envelope
  end
end

-- Returns why a certificate does not cover its record, or nil.
local function find_certificate_problem(certificate, record)
  if certificate.e <= kad.time() then
    return "the delegation has expired"
  elseif certificate.t and certificate.t ~= record.type then
    return "the delegation is for another type"
  elseif certificate.k and certificate.k ~= record.key then
    return "the delegation is for another key"
  elseif not kad.verify(certificate.o,
    text_to_sign(certificate, record.publisher), certificate.s)
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

--- Makes a certificate that lets another key write for the owner of a secret:
--- `to` is that key; `type` and `key` restrict the records. It cannot be
--- revoked before it ends.
---@param secret string  of the owner, 64 bytes
---@param options { to: string, seconds: integer, type?: string, key?: string }
---@return string certificate
function M.delegate(secret, options)
  if not is_bytes(secret, SECRET_SIZE) then
    error("a secret has 64 bytes", 2)
  end
  options = check.with_defaults(options, 2, DELEGATION)
  if options.key and not KINDS.k(options.key) then
    error("option 'key' must have 20 or 32 bytes", 2)
  end
  local certificate = {
    e = kad.time() + options.seconds,
    k = options.key,
    o = secret:sub(-KEY_SIZE),
    t = options.type,
  }
  certificate.s =
    assert(kad.sign(text_to_sign(certificate, options.to), secret))
  return kad.bencode.encode(certificate)
end

--- Returns the bytes that a delegate stores: its certificate and a value.
---@param certificate string
---@param value string
---@return string bytes
function M.wrap(certificate, value)
  local decoded = type(certificate) == "string"
    and kad.bencode.decode(certificate)
  if not is_certificate(decoded) then
    error("this is not a certificate: signed.delegate makes one", 2)
  end
  check.kind(value, "string", "value", 2)
  return kad.bencode.encode({ c = decoded, v = value })
end

----------------------------------------------------------------- rules --

-- Functions that return why an owner may not write a record, or nil.
local RULES <const> = {
  first = function() end, -- `merge` compares with the first
  anyone = function() end,
  self = function(owner, record)
    if M.key(owner, record.salt, #record.key * 8) ~= record.key then
      return "the key is named after another publisher"
    end
  end,
}

local function make_list_rule(writers)
  return function(owner)
    if not writers[owner] then
      return "this publisher may not write here"
    end
  end
end

-- Returns the rule for the option `by`; raises if it is wrong.
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
  return make_list_rule(writers)
end

-- Tells whether a record may have a certificate. A writer that the rule allows
-- needs none.
local function may_be_delegated(rules, record)
  return rules.delegates and (rules.by == "first" or rules.by == "anyone"
    or rules.rule(record.publisher, record) ~= nil)
end

-- Returns the owner of a record, its value, and the certificate of a delegate.
local function decode(rules, record)
  local envelope = may_be_delegated(rules, record)
    and decode_envelope(record.value)
  if envelope then
    return envelope.c.o, envelope.v, envelope.c
  end
  return record.publisher, record.value
end

local function validate(rules, record, ctx)
  if math.type(record.seq) ~= "integer" or record.seq < 0
    or record.seq > MAX_SEQ
  then
    return nil, "a sequence number of 0 to 2^53 is required", REJECTED
  elseif record.salt and rules.by ~= "self" then
    return nil, "a salt has no meaning here", REJECTED
  end
  local owner, value, certificate = decode(rules, record)
  local problem = rules.rule(owner, record)
    or certificate and find_certificate_problem(certificate, record)
  if problem then
    return nil, problem, REJECTED
  elseif rules.check then
    return rules.check(value, record, ctx)
  end
  return true
end

-- Tells whether all nodes prefer record `a` to `b`. The order is total: neither
-- is preferred only if they are equal.
local function is_later(a, b)
  if a.seq ~= b.seq then
    return a.seq > b.seq
  elseif a.value ~= b.value then
    return a.value > b.value
  end
  return a.publisher > b.publisher
end

-- Returns the place of the record that a record of `owner` replaces, or nil.
local function find_rival(rules, held, owner)
  for i, other in ipairs(held) do
    if rules.by ~= "anyone" or decode(rules, other) == owner then
      return i
    end
  end
end

local function merge(rules, held, record)
  local owner = decode(rules, record)
  local place = find_rival(rules, held, owner)
  local rival = held[place]
  if not rival and #held >= rules.max_values then
    return nil, "there are too many writers", REJECTED
  elseif rival and rules.by == "first" and decode(rules, rival) ~= owner then
    return nil, "the key belongs to another publisher", REJECTED
  elseif rival and is_later(rival, record) then
    return nil, "a change needs a higher seq than " .. rival.seq, TOO_LOW
  end
  held[place or #held + 1] = record
  return held
end

-- Returns the records that a reader gets: without envelopes, with the owner as
-- publisher.
local function select_values(rules, records)
  local values = {}
  for i, record in ipairs(records) do
    local owner, value = decode(rules, record)
    values[i] = { value = value, publisher = owner, seq = record.seq,
      salt = record.salt }
  end
  table.sort(values, is_later)
  return values
end

-- Returns the life of a record; it does not outlive its certificate.
local function expire(rules, record)
  local _, _, certificate = decode(rules, record)
  local ttl = record.ttl > 0 and record.ttl or rules.ttl
  local left = certificate and certificate.e - kad.time() or ttl
  return math.max(1, math.min(left, ttl, rules.ttl))
end

local TYPE_OPTIONS <const> = {
  by = { required = "the publishers that may write" },
  max_size = { default = value_size.ITEM, kind = "integer", from = 1,
    to = value_size.VALUE },
  max_values = { default = 64, kind = "integer", from = 1, to = 1024 },
  ttl = { default = 86400, kind = "integer", from = 1, to = 2592000 },
  delegates = { default = false, kind = "boolean" },
  check = { kind = "function" },
}

-- Returns a hook of the type with these rules.
local function bind(hook, rules)
  return function(...)
    return hook(rules, ...)
  end
end

--- Makes a type of signed records. `by` chooses the publishers that may write:
---
--- - a public key, or a list of them;
--- - "first": the first publisher under a key, until its record expires;
--- - "self": the publisher that the key is named after (`signed.key`);
--- - "anyone": each publisher has a record, `max_values` (64) in all.
---
--- With `delegates`, keys with a certificate of such a publisher may write,
--- too; readers get the values without certificates. `check(value, record,
--- ctx)` may reject a value, as `validate` does.
---@param options { by: string|string[], max_size?: integer, max_values?:
---  integer, ttl?: integer, delegates?: boolean, check?: function }
---@return kadenza.Type type
function M.type(options)
  local rules = check.with_defaults(options, 2, TYPE_OPTIONS)
  rules.rule = make_rule(rules.by)
  if rules.by ~= "anyone" then
    rules.max_values = 1
  end
  return {
    max_size = rules.max_size,
    max_values = rules.max_values,
    ttl = rules.ttl,
    signed_only = true,
    validate = bind(validate, rules),
    merge = bind(merge, rules),
    select = rules.delegates and bind(select_values, rules) or nil,
    expire = rules.delegates and bind(expire, rules) or nil,
  }
end

--------------------------------------------------------------- writing --

--- Returns the key that is named after a publisher: by the rule "self", no
--- other publisher can write under it.
---@param publisher string
---@param salt? string  makes several keys of one publisher
---@param bits? 160|256  width of the overlay's keys; in a policy file, that of
---  its node
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

-- Returns a sequence number that is higher than those under a key, and at least
-- the wall clock's seconds, so that it rises even if all records were lost.
local function next_seq(node, key, options)
  local records, message, code = node:get(key,
    { type = options.type, all = true, timeout = options.timeout })
  if not records and code ~= "KAD_ENOTFOUND" then
    return nil, message, code
  end
  local seq = kad.time()
  for _, record in ipairs(records or {}) do
    seq = math.max(seq, (record.seq or 0) + 1)
  end
  return seq
end

--- Stores a value with a sequence number that is higher than those under the
--- key. A delegate passes its certificate.
---@async
---@param node kadenza.Node
---@param key string
---@param value string
---@param options { type: string, secret: string, certificate?: string,
---  salt?: string, ttl?: integer, timeout?: number }
---@return kadenza.Info? info
---@return string? message
---@return kadenza.Code? code
function M.put(node, key, value, options)
  options = check.with_defaults(options, 2, PUT_OPTIONS)
  check.id(node, key, "key", 2)
  check.kind(value, "string", "value", 2)
  if options.certificate then
    value = M.wrap(options.certificate, value)
  end
  local seq, message, code = next_seq(node, key, options)
  if not seq then
    return nil, message, code
  end
  return node:put(key, value, { type = options.type, secret = options.secret,
    salt = options.salt, ttl = options.ttl, timeout = options.timeout,
    seq = seq })
end

return M

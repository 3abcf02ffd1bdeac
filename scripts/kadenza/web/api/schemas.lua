--- The schemas of the API's description (JSON Schema 2020-12).
--- Tested by tests/spec/web/api/openapi_spec.lua and tests/web/test_api.py.

local json = require("kadenza.json")
local queries = require("kadenza.queries")
local size_limit = require("kadenza.size_limit")

local M = {}

local array = json.array

local LEAST <const>, MOST <const> = math.mininteger, math.maxinteger

-- Base64 without bits that mean nothing.
local BASE64 <const> = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|"
  .. "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"

local function use(name)
  return { ["$ref"] = "#/components/schemas/" .. name }
end

local function text(pattern, description)
  return { type = "string", pattern = pattern, description = description }
end

local function integer(minimum, maximum, description)
  return { type = "integer", minimum = minimum, maximum = maximum,
    description = description }
end

local function object(properties, required, more)
  local schema = { type = "object", properties = properties,
    required = required and array(required) }
  for name, value in pairs(more or {}) do
    schema[name] = value
  end
  return schema
end

-- Only the fields that are named.
local CLOSED <const> = { additionalProperties = false }

local function hex(bytes, description)
  return text(("^[0-9a-fA-F]{%d}$"):format(2 * bytes), description)
end

------------------------------------------------------------------- parts --

-- Returns the schemas of single values.
local function values(bits)
  local core_queries = {}
  for name in pairs(queries.CORE) do
    core_queries[#core_queries + 1] = name
  end
  table.sort(core_queries)
  return {
    Key = text(("^([0-9a-fA-F]{%d}|name:[\\s\\S]{1,200})$"):format(bits // 4),
      "An id in hexadecimal, or `name:TEXT`, whose text is hashed."),
    Type = text("^(?!peers$)[!-~]{1,32}$", "A record type."),
    TTL = integer(1, 0xffffffff, "Seconds."),
    Holders = integer(1, 20, "A number of nodes."),
    Salt = { type = "string", maxLength = 64,
      description = "A salt of at most 64 bytes." },
    Seq = { description = "A sequence number, which may be a text.",
      anyOf = array({ integer(LEAST, MOST), text("^-?[0-9]{1,18}$") }) },
    Counter = { description = "A sequence number from 0.",
      anyOf = array({ integer(0, MOST), text("^[0-9]{1,18}$") }) },
    Switch = { type = "string",
      enum = array({ "", "true", "false", "1", "0" }),
      description = "On or off; the name alone is on." },
    Method = text(("^(?!(\\.{1,2}|%s)$)[!-~]{1,32}$"):format(
      table.concat(core_queries, "|")), "The name of a custom query."),
    Address = { type = "string", format = "host-port",
      description = "HOST:PORT of a node." },
    Bencode = { description = "What bencode has: texts, integers, arrays and "
      .. "objects.", anyOf = array({ { type = "string" },
        integer(LEAST, MOST),
        { type = "array", items = use("Bencode") },
        { type = "object", additionalProperties = use("Bencode") } }) },
    Error = object({ error = object({
      code = { type = "string", description = "For programs." },
      message = { type = "string", description = "For people." },
      krpc = { type = "integer",
        description = "The error number that another node sent." },
      seq = { type = "integer",
        description = "The sequence number of the stored item." },
    }, { "code", "message" }) }, { "error" }),
  }
end

----------------------------------------------------------------- requests --

-- The fields of all new records.
local function record_fields(more)
  local fields = {
    value = { type = "string", maxLength = size_limit.VALUE },
    value_base64 = { type = "string", pattern = BASE64,
      maxLength = (size_limit.VALUE + 2) // 3 * 4 },
    salt = use("Salt"),
    salt_base64 = { type = "string", maxLength = 88, pattern = BASE64 },
    ttl = use("TTL"),
    min_stored = use("Holders"),
  }
  for name, schema in pairs(more) do
    fields[name] = schema
  end
  return fields
end

-- A record has one of the forms of its value, and one of its salt at most.
local FORMS <const> = {
  additionalProperties = false,
  oneOf = array({ { required = array({ "value" }) },
    { required = array({ "value_base64" }) } }),
  ["not"] = { required = array({ "salt", "salt_base64" }) },
}

local OTHER_TYPE <const> = { type = "string",
  pattern = "^(?!(peers|mutable)$)[!-~]{1,32}$",
  description = "A record type. Default: `value`." }

local ENCODED <const> = { type = "string", format = "bencode-base64",
  description = "The arguments as a bencoded dictionary, in base64." }

-- Arguments have one of their forms at most.
local ONE_FORM <const> = { additionalProperties = false,
  ["not"] = { required = array({ "args", "args_base64" }) } }

local function requests()
  local publisher = hex(32, "The publisher's Ed25519 key.")
  local signature = hex(64, "The signature of the record.")
  return {
    PlainRecord = object(record_fields({ type = OTHER_TYPE, seq = use("Seq") }),
      nil, FORMS),
    SignedRecord = object(record_fields({ type = OTHER_TYPE, seq = use("Seq"),
      publisher = publisher, signature = signature }),
      { "publisher", "signature" }, FORMS),
    MutableItem = object(record_fields({
      type = { const = "mutable" }, seq = use("Counter"),
      cas = use("Counter"), publisher = publisher, signature = signature,
    }), { "type", "seq", "publisher", "signature" }, FORMS),
    NewRecord = { anyOf = array({ use("PlainRecord"), use("SignedRecord"),
      use("MutableItem") }) },
    Announce = object({
      port = integer(1, 65535, "Default: that of the node."),
      seed = { type = "boolean", description = "It has the whole torrent." },
      min_stored = use("Holders"),
    }, nil, CLOSED),
    NodeQuery = object({
      address = use("Address"), id = use("Key"), args_base64 = ENCODED,
      args = { type = "object", additionalProperties = use("Bencode"),
        properties = { id = false } },
    }, { "address" }, ONE_FORM),
    KeyQuery = object({
      key = use("Key"), quorum = use("Holders"), args_base64 = ENCODED,
      args = { type = "object", additionalProperties = use("Bencode"),
        properties = { id = false, target = false } },
    }, { "key" }, ONE_FORM),
    Query = { anyOf = array({ use("NodeQuery"), use("KeyQuery") }) },
  }
end

--------------------------------------------------------------- responses --

local COUNT <const> = { type = "integer", minimum = 0 }
local TEXT <const> = { type = "string" }

-- Returns the fields of a record that was found, and more.
local function found_fields(more)
  local fields = {
    type = TEXT, value = TEXT, value_base64 = TEXT, salt = TEXT,
    salt_base64 = TEXT, ttl = COUNT, age = COUNT,
    seq = { type = "integer" },
    seq_text = { type = "string",
      description = "`seq`, if readers of JSON may round it." },
    publisher = TEXT, signature = TEXT,
  }
  for name, schema in pairs(more or {}) do
    fields[name] = schema
  end
  return fields
end

local function results()
  local lookup = { key = TEXT, holders = COUNT, hops = COUNT,
    messages = COUNT }
  return {
    Record = object(found_fields(), { "type", "age" }, CLOSED),
    FoundRecord = object(found_fields(lookup), { "key", "type", "holders" },
      CLOSED),
    FoundRecords = object({ key = TEXT, holders = COUNT, hops = COUNT,
      messages = COUNT,
      records = { type = "array", items = use("Record") } },
      { "key", "records" }, CLOSED),
    Stored = object({ key = TEXT, type = TEXT, stored = COUNT, asked = COUNT,
      messages = COUNT, ttl = COUNT, seq = { type = "integer" },
      seq_text = TEXT }, { "key", "type", "stored", "asked" }, CLOSED),
    Peers = object({
      info_hash = TEXT, peers = { type = "array", items = TEXT },
      scrape = object({ seeds = COUNT, peers = COUNT },
        { "seeds", "peers" }, CLOSED),
      holders = COUNT, hops = COUNT, messages = COUNT,
    }, { "info_hash", "peers" }, CLOSED),
    Announced = object({ info_hash = TEXT, stored = COUNT, asked = COUNT,
      messages = COUNT, ttl = COUNT }, { "info_hash", "stored", "asked" },
      CLOSED),
    Contact = object({ id = TEXT, address = TEXT }, { "address" }, CLOSED),
    Contacts = object({ target = TEXT, hops = COUNT, messages = COUNT,
      contacts = { type = "array", items = use("Contact") } },
      { "target", "contacts" }, CLOSED),
    Replies = object({
      reply = { description = "Of one node." },
      from = use("Contact"),
      replies = { type = "array", items = object({ reply = {},
        from = use("Contact") }, { "reply", "from" }) },
      hops = COUNT, messages = COUNT,
    }),
  }
end

--- Returns the schemas of a node.
---@param bits 160|256  width of its keys
---@return table<string, table> schemas
function M.of(bits)
  local all = values(bits)
  for _, more in ipairs({ requests(), results() }) do
    for name, schema in pairs(more) do
      all[name] = schema
    end
  end
  return all
end

return M

--- `/v1/openapi.json`: describes the API to programs (OpenAPI 3.1). The schemas
--- are those of this node: its keys have the width of its overlay.
--- Tested by tests/spec/web/api/openapi_spec.lua and tests/web/test_api.py.

local json = require("kadenza.json")
local kad = require("kadenza")
local reply = require("kadenza.web.api.reply")
local schemas = require("kadenza.web.api.schemas")
local size_limit = require("kadenza.size_limit")

local M = {}

local array = json.array

local function use(name)
  return { ["$ref"] = "#/components/schemas/" .. name }
end

---------------------------------------------------------------- requests --

local function query(name, schema, description)
  return { name = name, ["in"] = "query", schema = schema,
    description = description }
end

local function header(name, schema, description)
  return { name = name, ["in"] = "header", schema = schema,
    description = description }
end

local function path(name, schema, description)
  return { name = name, ["in"] = "path", required = true, schema = schema,
    description = description }
end

local KEY <const> = path("key", use("Key"), "The key of the records.")
local INFO_HASH <const> = path("info_hash", use("Key"), "The info hash.")
local NO_CACHE <const> = header("Cache-Control", { type = "string" },
  "With `no-cache` the node looks up the answer again.")
local IF_NONE_MATCH <const> = header("If-None-Match", { type = "string" },
  "ETags of answers that the client has.")

local function body(content, is_required)
  return { content = content, required = is_required }
end

local function document(name)
  return { ["application/json"] = { schema = use(name) } }
end

--------------------------------------------------------------- responses --

local DESCRIPTIONS <const> = {
  [304] = "The client has the answer.",
  [400] = "The request is malformed.",
  [401] = "The bearer token is missing or wrong.",
  [403] = "The node takes no writes over HTTP, or not from this site.",
  [404] = "No node has it.",
  [406] = "The client takes none of the media types.",
  [409] = "Another version of the item stands against it.",
  [413] = "It is too large.",
  [415] = "The body has another media type.",
  [422] = "The rules of the overlay, or a policy, refuse it.",
  [429] = "A quota or limit is reached.",
  [500] = "The node failed.",
  [502] = "Other nodes refused it, or cannot be reached.",
  [503] = "The node is isolated, or too much is under way.",
  [504] = "No node answered in time.",
}

-- Returns the responses of an operation: that of success, and errors.
local function responses(success, statuses)
  local all = { ["200"] = success }
  for _, status in ipairs(statuses) do
    all[tostring(status)] = {
      description = DESCRIPTIONS[status],
      content = status ~= 304 and document("Error") or nil,
    }
  end
  return all
end

-- Returns the headers of an answer that may be kept.
local function answer_headers(more)
  local headers = {
    ["Cache-Control"] = { schema = { type = "string" },
      description = "How long the answer is fresh." },
    Age = { schema = { type = "string", pattern = "^[0-9]+$" },
      description = "Seconds since the node has looked it up." },
  }
  for name, description in pairs(more or {}) do
    headers[name] = { schema = { type = "string" },
      description = description }
  end
  return headers
end

local RECORD_HEADERS <const> = {
  ETag = "Identifies the record.",
  ["Kadenza-Key"] = "The key, in hexadecimal.",
  ["Kadenza-Type"] = "The record type.",
  ["Kadenza-TTL"] = "Seconds that the record lives.",
  ["Kadenza-Seq"] = "The sequence number.",
  ["Kadenza-Publisher"] = "The publisher's key, in hexadecimal.",
  ["Kadenza-Signature"] = "The signature, in hexadecimal.",
  ["Kadenza-Salt-Base64"] = "The salt, in base64.",
  ["Kadenza-Holders"] = "Nodes that had records.",
}

-- What every route may answer.
local READS <const> = { 400, 404, 422, 500, 502, 503, 504 }

local function statuses(...)
  local all = table.move(READS, 1, #READS, 1, {})
  return table.move({ ... }, 1, select("#", ...), #all + 1, all)
end

local WRITE <const> = array({ { token = array({}) } })

------------------------------------------------------------------- paths --

local function get_records()
  return {
    operationId = "getRecords",
    summary = "Look up the records of a key",
    description = "Returns the bytes of the best record, or by `Accept` a "
      .. "document with its fields; with `all` a document with all records; "
      .. "with `watch` server-sent events: `present`, `changed`, `expired`, "
      .. "`unanswered`, `answered`.",
    parameters = array({
      KEY,
      query("type", use("Type"), "Record type. Default: `value`."),
      query("all", use("Switch"), "All records instead of the best one."),
      query("watch", use("Switch"), "Follow the records."),
      query("salt", use("Salt"), "Salt of a mutable item."),
      IF_NONE_MATCH, NO_CACHE,
      header("Last-Event-ID", { type = "string" },
        "The last event that a watch has received."),
    }),
    responses = responses({
      description = "The record.",
      headers = answer_headers(RECORD_HEADERS),
      content = {
        ["application/octet-stream"] = { schema = {} },
        ["application/json"] = { schema = { anyOf = array({
          use("FoundRecord"), use("FoundRecords") }) } },
        ["text/event-stream"] = { schema = { type = "string" } },
      },
    }, statuses(304, 406, 413)),
  }
end

local function put_record()
  return {
    operationId = "putRecord",
    summary = "Store a record",
    description = "Stores a record at the nodes closest to its key. A client "
      .. "that signs sends the signature; the node keeps no secret keys. With "
      .. "a document, the parameters are its fields.",
    security = WRITE,
    parameters = array({
      KEY,
      query("type", use("Type"), "Record type. Default: `value`."),
      query("ttl", use("TTL"), "Seconds that the record lives."),
      query("min_stored", use("Holders"),
        "It is an error if fewer nodes store it."),
    }),
    requestBody = body({
      ["application/octet-stream"] = {
        schema = { maxLength = size_limit.VALUE } },
      ["application/json"] = { schema = use("NewRecord") },
    }, false),
    responses = responses({ description = "It is stored.",
      content = document("Stored") },
      statuses(401, 403, 409, 413, 415, 429)),
  }
end

local function get_peers()
  return {
    operationId = "getPeers",
    summary = "Look up the peers of an info hash (BEP 5)",
    parameters = array({
      INFO_HASH,
      query("scrape", use("Switch"), "Also estimate their number (BEP 33)."),
      query("noseed", use("Switch"), "Only peers that are no seeds."),
      NO_CACHE,
    }),
    responses = responses({ description = "The peers.",
      headers = answer_headers(), content = document("Peers") },
      statuses()),
  }
end

local function post_peer()
  return {
    operationId = "announcePeer",
    summary = "Announce this machine as a peer of an info hash (BEP 5)",
    security = WRITE,
    parameters = array({ INFO_HASH }),
    requestBody = body(document("Announce"), false),
    responses = responses({ description = "It is announced.",
      content = document("Announced") },
      statuses(401, 403, 413, 415, 429)),
  }
end

local function get_lookup()
  return {
    operationId = "lookUp",
    summary = "Find the nodes closest to an id",
    parameters = array({ path("target", use("Key"), "The id."), NO_CACHE }),
    responses = responses({ description = "The nodes, the closest first.",
      headers = answer_headers(), content = document("Contacts") },
      statuses()),
  }
end

local function post_query()
  return {
    operationId = "sendQuery",
    summary = "Send a custom query",
    description = "Sends a query that a policy answers: to the node at "
      .. "`address`, or to all nodes on the way to `key`.",
    security = WRITE,
    parameters = array({ path("method", use("Method"),
      "The name of the query.") }),
    requestBody = body(document("Query"), true),
    responses = responses({ description = "The replies.",
      content = document("Replies") },
      statuses(401, 403, 413, 415, 429)),
  }
end

local function get_description()
  return {
    operationId = "describe",
    summary = "This description",
    responses = responses({ description = "The description.",
      content = { ["application/json"] = {
        schema = { type = "object" } } } }, { 500, 503 }),
  }
end

--- Returns the description of the API of a node.
---@param bits 160|256  width of its keys
---@return table document
function M.describe(bits)
  return {
    openapi = "3.1.0",
    info = {
      title = "kadenza",
      version = kad.version,
      description = "Records, peers, lookups and custom queries of a DHT node.",
      license = { name = "MIT", identifier = "MIT" },
    },
    paths = {
      ["/v1/records/{key}"] = { get = get_records(), put = put_record() },
      ["/v1/peers/{info_hash}"] = { get = get_peers(), post = post_peer() },
      ["/v1/lookup/{target}"] = { get = get_lookup() },
      ["/v1/queries/{method}"] = { post = post_query() },
      ["/v1/openapi.json"] = { get = get_description() },
    },
    components = {
      schemas = schemas.of(bits),
      securitySchemes = { token = { type = "http", scheme = "bearer",
        description = "The token of --http-token-file." } },
    },
  }
end

--- Returns the description.
---@param api kadenza.web.Api
---@return table response
function M.get(api)
  local node, message, code = api.gateway:node()
  if not node then
    return reply.failure(message, code)
  end
  api.description = api.description
    or json.encode(M.describe(node:id_bits()), nil, true) .. "\n"
  return { status = 200, headers = { ["Content-Type"] = "application/json" },
    body = api.description }
end

return M

--- Records in the documents and headers of the API: texts as they are if they
--- are UTF-8, else as base64 under NAME_base64; keys, publishers and signatures
--- in hexadecimal.
--- Tested by tests/spec/web/api/records_spec.lua.

local core = require("kadenza.core")

local M = {}

-- Sets `document[name]`, or `document[name .. "_base64"]` if the bytes are not
-- UTF-8.
local function set_bytes(document, name, bytes)
  if bytes and utf8.len(bytes) then
    document[name] = bytes
  elseif bytes then
    document[name .. "_base64"] = core.base64(bytes)
  end
end

--- Returns the document of a record.
---@param record table
---@return table document
function M.describe(record)
  local document = {
    type = record.type,
    ttl = record.ttl,
    age = record.age,
    seq = record.seq,
    publisher = record.publisher and core.hex(record.publisher),
    signature = record.signature and core.hex(record.signature),
  }
  set_bytes(document, "value", record.value)
  set_bytes(document, "salt", record.salt)
  return document
end

--- Returns the headers that describe a record.
---@param record table
---@return table<string, string> headers
function M.headers(record)
  return {
    ["Kadenza-Type"] = record.type,
    ["Kadenza-TTL"] = record.ttl and tostring(record.ttl),
    ["Kadenza-Seq"] = record.seq and tostring(record.seq),
    ["Kadenza-Publisher"] = record.publisher and core.hex(record.publisher),
    ["Kadenza-Signature"] = record.signature and core.hex(record.signature),
    ["Kadenza-Salt-Base64"] = record.salt and core.base64(record.salt),
  }
end

return M

--- What the program prints on standard output, and that it arrived there.

local dkjson = require("dkjson")

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")

local M = {}

-- Documents list their fields in this order; others come after them.
local ORDER <const> = {
  "key", "type", "value", "value_hex", "values", "seq", "salt", "salt_hex",
  "publisher", "secret", "ttl", "age", "id", "address", "peers", "contacts",
  "stored", "asked", "holders", "hops", "messages", "took_ms", "error", "code",
}

local ARRAY <const> = { __jsontype = "array" }

local function check(written, message)
  if not written then
    fault.failed("standard output: " .. message, "KAD_ESYSTEM")
  end
end

--- Writes text as it is.
---@param ... string
function M.write(...)
  check(io.stdout:write(...))
end

--- Makes sure that what was written has left the program.
function M.flush()
  check(io.stdout:flush())
end

--- Marks a list, so that it is an array also when it is empty.
---@generic T
---@param list T[]
---@return T[] list
function M.array(list)
  return setmetatable(list, ARRAY)
end

--- Writes a table as one line of JSON.
---@param document table
function M.json(document)
  M.write(dkjson.encode(document, { keyorder = ORDER }), "\n")
end

--- Sets `document[name]`, or `document[name .. "_hex"]` if JSON cannot carry
--- the bytes as a string.
---@param document table
---@param name string
---@param bytes? string
function M.set_bytes(document, name, bytes)
  if bytes and utf8.len(bytes) then
    document[name] = bytes
  elseif bytes then
    document[name .. "_hex"] = core.hex(bytes)
  end
end

--- Prints what came of a command.
---@param document table  for programs
---@param text string  for people
---@param json boolean
function M.show(document, text, json)
  if json then
    M.json(document)
  else
    M.write(text)
  end
end

return M

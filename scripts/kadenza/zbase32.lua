--- z-base-32: bytes as lower-case letters and digits that people copy easily.
--
--     local zbase32 = require("kadenza.zbase32")
--     local text = zbase32.encode(publisher)   -- 32 bytes: 52 characters
--     local bytes, message = zbase32.decode(text)
--
-- Each character is five bits; the last one is filled up with zeros. Only one
-- text is read as some bytes: one in upper case, or with other bits at its end,
-- is refused.

local check = require("kadenza.check")

local M = {}

local ALPHABET <const> = "ybndrfg8ejkmcpqxot1uwisza345h769"

local letters, values = {}, {}
for i = 1, #ALPHABET do
  letters[i - 1] = string.sub(ALPHABET, i, i)
  values[string.byte(ALPHABET, i)] = i - 1
end

--- Returns bytes as a text.
---@param bytes string
---@return string text
function M.encode(bytes)
  check.kind(bytes, "string", "bytes", 2)
  local text, bits, count = {}, 0, 0
  for i = 1, #bytes do
    bits = bits << 8 | string.byte(bytes, i)
    count = count + 8
    while count >= 5 do
      count = count - 5
      text[#text + 1] = letters[bits >> count & 31]
    end
    bits = bits & (1 << count) - 1
  end
  if count > 0 then
    text[#text + 1] = letters[bits << 5 - count & 31]
  end
  return table.concat(text)
end

--- Returns the bytes of a text.
---@param text string
---@return string? bytes
---@return string? message
function M.decode(text)
  check.kind(text, "string", "text", 2)
  local bytes, bits, count = {}, 0, 0
  for i = 1, #text do
    local value = values[string.byte(text, i)]
    if not value then
      return nil, "a character that z-base-32 does not have"
    end
    bits = bits << 5 | value
    count = count + 5
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(bits >> count)
      bits = bits & (1 << count) - 1
    end
  end
  if count >= 5 or bits ~= 0 then
    return nil, "bits at the end that are not of a byte"
  end
  return table.concat(bytes)
end

return M

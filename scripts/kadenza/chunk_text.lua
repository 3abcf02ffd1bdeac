--- Returns the Lua text in the bytes of a file, as `lua` reads it: without a
--- byte order mark (UTF-8) and without a first line that begins with `#`, such
--- as `#!/usr/bin/env lua5.4`. Lines keep their numbers.

local MARK <const> = "\u{FEFF}"

---@param bytes string
---@return string text
return function(bytes)
  if string.sub(bytes, 1, #MARK) == MARK then
    bytes = string.sub(bytes, #MARK + 1)
  end
  if string.sub(bytes, 1, 1) == "#" then
    bytes = string.gsub(bytes, "^[^\n]*", "", 1)
  end
  return bytes
end

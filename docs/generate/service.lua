--- Writes the unit for systemd that ships into docs/service.md.

local M = {}

local BEFORE <const> = "It has this text:\n\n```ini\n"

--- Returns docs/service.md with the unit as it is.
---@param text string  of the document
---@param unit string
---@return string text
function M.page(text, unit)
  local _, from = assert(text:find(BEFORE, 1, true))
  local to = assert(text:find("```\n", from, true))
  return text:sub(1, from) .. unit .. text:sub(to)
end

return M

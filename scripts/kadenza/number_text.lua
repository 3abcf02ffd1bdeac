--- Returns a number as a text that gives the same number again in any locale:
--- `0.1`, `12`, `1e+300`, `nan`, `inf`, `-inf`. A float without a fraction has
--- no point.
--- Tested by tests/spec/json_spec.lua, tests/spec/logfmt_spec.lua.

-- The fewest digits first that may give the same number again.
local FORMATS <const> = { "%.14g", "%.16g", "%.17g" }

local function float_text(value)
  for _, format in ipairs(FORMATS) do
    -- A program may have set a locale with another decimal point.
    local text = format:format(value):gsub("[^%w+-]+", ".")
    if tonumber(text) == value then
      return text
    end
  end
end

---@param value number
---@return string text
return function(value)
  if value ~= value then
    return "nan"
  elseif value == math.huge then
    return "inf"
  elseif value == -math.huge then
    return "-inf"
  elseif math.type(value) == "integer" then
    return ("%d"):format(value)
  end
  return float_text(value)
end

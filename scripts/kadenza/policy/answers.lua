--- Answers that come from the state of policies later: each handle has one
--- function that takes them, and they are for two kinds of callers.
--
-- Tested by tests/spec/policy/http_spec.lua, tests/spec/policy/prompt_spec.lua.

local M = {}

-- The ids of requests over HTTP, which C numbers, begin here; those of code
-- that is typed are lower.
local FIRST_REQUEST <const> = 1 << 62

-- Handle → functions that take its answers.
local takers = setmetatable({}, { __mode = "k" })

local function takers_of(handle)
  local found = takers[handle]
  if not found then
    found = {}
    takers[handle] = found
    -- Weak: what takes answers knows the handle, which may be collected.
    local weak = setmetatable({ found }, { __mode = "v" })
    handle:on_answer(function(id, succeeded, bytes)
      local kind = id >= FIRST_REQUEST and "requests" or "typed"
      local take = weak[1] and weak[1][kind]
      if take then
        take(id, succeeded, bytes)
      end
    end)
  end
  return found
end

--- Sets the function that takes the answers of a kind. It is called from inside
--- of the policies' state.
---@param handle table
---@param kind "requests"|"typed"
---@param take fun(id: integer, succeeded: boolean, bytes: string?)
function M.take(handle, kind, take)
  takers_of(handle)[kind] = take
end

return M

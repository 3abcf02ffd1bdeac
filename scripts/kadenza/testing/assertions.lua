--- Assertions for luassert, which busted uses.
--
--     assert.accepted(answer)
--     assert.refused(answer, "no spam", 201)      -- part of the reason, code
--     assert.fails(answer, "policy.lua:7: ")      -- part of the error
--     assert.holders(8, overlay, key, "line")     -- so many nodes hold it
--     assert.converged(overlay, key, "line")      -- all of them the same

local overlay_module = require("kadenza.testing.overlay")

local M = {}

-- What the failure of an assertion says: `%s` is one text.
local MESSAGES <const> = {
  accepted = { "Expected the hook to accept.\n%s",
    "Expected the hook not to accept.\n%s" },
  refused = { "Expected the hook to refuse.\n%s",
    "Expected the hook not to refuse.\n%s" },
  fails = { "Expected the hook to fail.\n%s",
    "Expected the hook not to fail.\n%s" },
  holders = { "Expected other holders.\n%s", "Expected other holders.\n%s" },
  converged = { "Expected all holders to hold the same.\n%s",
    "Expected the holders to differ.\n%s" },
}

-- Lets the message have one text.
local function explain(arguments, ...)
  arguments[1] = string.format(...)
  arguments.n = 1
  arguments.nofmt = { true }
end

-- An answer of policy:call, or what a call of the hook itself returned.
local function need_answer(answer, level)
  if type(answer) ~= "table" or type(answer.verdict) ~= "string" then
    error("an answer of policy:call is needed, not " .. tostring(answer),
      level + 1)
  end
  return answer
end

local function need_overlay(overlay, level)
  if not overlay_module.is(overlay) then
    error("an overlay is needed, not " .. tostring(overlay), level + 1)
  end
  return overlay
end

local assertions = {}

function assertions.accepted(_, arguments, level)
  local answer = need_answer(arguments[1], level)
  explain(arguments, "It answered: %s", tostring(answer))
  return answer.verdict == "accept"
end

function assertions.refused(_, arguments, level)
  local answer = need_answer(arguments[1], level)
  local reason, code = arguments[2], arguments[3]
  explain(arguments, "It answered: %s\nWanted: a reason with '%s', code %s",
    tostring(answer), tostring(reason or ""), tostring(code or "any"))
  return answer.verdict == "refuse"
    and (reason == nil or answer.reason:find(reason, 1, true) ~= nil)
    and (code == nil or answer.code == code)
end

function assertions.fails(_, arguments, level)
  local answer, text = need_answer(arguments[1], level), arguments[2]
  explain(arguments, "It answered: %s\nWanted: an error with '%s'",
    tostring(answer), tostring(text or ""))
  return answer.verdict == "failed"
    and (text == nil or answer.error:find(text, 1, true) ~= nil)
end

-- What the holders have, a line each.
local function list(holders)
  local lines = {}
  for i, holder in ipairs(holders) do
    lines[i] = ("  %s: %s"):format(holder.node:addresses()[1], holder.values)
  end
  return #lines > 0 and table.concat(lines, "\n") or "  nobody"
end

function assertions.holders(_, arguments, level)
  local wanted, overlay = arguments[1], need_overlay(arguments[2], level)
  local holders = overlay:holders(arguments[3], arguments[4])
  explain(arguments, "Wanted: %s. %d hold it (seed %d):\n%s",
    tostring(wanted), #holders, overlay.seed, list(holders))
  return #holders == wanted
end

function assertions.converged(_, arguments, level)
  local overlay = need_overlay(arguments[1], level)
  local holders = overlay:holders(arguments[2], arguments[3])
  explain(arguments, "They hold (seed %d):\n%s", overlay.seed, list(holders))
  for _, holder in ipairs(holders) do
    if holder.values ~= holders[1].values then
      return false
    end
  end
  return #holders > 0
end

--- Makes the assertions known to luassert.
---@param luassert table
---@param say table  the module that has its messages
function M.register(luassert, say)
  for name, check in pairs(assertions) do
    local prefix = "assertion.kadenza." .. name
    say:set(prefix .. ".positive", MESSAGES[name][1])
    say:set(prefix .. ".negative", MESSAGES[name][2])
    luassert:register("assertion", name, check, prefix .. ".positive",
      prefix .. ".negative")
  end
end

return M

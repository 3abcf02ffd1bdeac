--- Assertions for luassert, which busted uses; kadenza.testing lists them.

local overlay_module = require("kadenza.testing.overlay")

local M = {}

-- Failure messages of the assertions and of their negations. `%s` is the text
-- that set_explanation sets.
local MESSAGES <const> = {
  accepted = { "Expected the hook to accept.\n%s",
    "Expected the hook not to accept.\n%s" },
  rejected = { "Expected the hook to reject.\n%s",
    "Expected the hook not to reject.\n%s" },
  fails = { "Expected the hook to fail.\n%s",
    "Expected the hook not to fail.\n%s" },
  holders = { "Expected another number of holders.\n%s",
    "Expected another number of holders.\n%s" },
  converged = { "Expected all holders to hold the same values.\n%s",
    "Expected the holders to differ.\n%s" },
}

-- Sets the text of the failure message.
local function set_explanation(arguments, ...)
  arguments[1] = string.format(...)
  arguments.n = 1
  arguments.nofmt = { true }
end

local function check_result(result, level)
  if type(result) ~= "table" or type(result.verdict) ~= "string" then
    error("a result of policy:call is needed, not " .. tostring(result),
      level + 1)
  end
  return result
end

local function check_overlay(overlay, level)
  if not overlay_module.is(overlay) then
    error("an overlay is needed, not " .. tostring(overlay), level + 1)
  end
  return overlay
end

local assertions = {}

function assertions.accepted(_, arguments, level)
  local result = check_result(arguments[1], level)
  set_explanation(arguments, "It returned: %s", tostring(result))
  return result.verdict == "accept"
end

function assertions.rejected(_, arguments, level)
  local result = check_result(arguments[1], level)
  local reason, code = arguments[2], arguments[3]
  set_explanation(arguments,
    "It returned: %s\nWanted: a reason with '%s', code %s",
    tostring(result), tostring(reason or ""), tostring(code or "any"))
  return result.verdict == "reject"
    and (reason == nil or result.reason:find(reason, 1, true) ~= nil)
    and (code == nil or result.code == code)
end

function assertions.fails(_, arguments, level)
  local result, text = check_result(arguments[1], level), arguments[2]
  set_explanation(arguments, "It returned: %s\nWanted: an error with '%s'",
    tostring(result), tostring(text or ""))
  return result.verdict == "failed"
    and (text == nil or result.error:find(text, 1, true) ~= nil)
end

-- Returns the values of the holders, a line each.
local function list_holders(holders)
  local lines = {}
  for i, holder in ipairs(holders) do
    lines[i] = ("  %s: %s"):format(holder.node:addresses()[1], holder.values)
  end
  return #lines > 0 and table.concat(lines, "\n") or "  none"
end

function assertions.holders(_, arguments, level)
  local wanted, overlay = arguments[1], check_overlay(arguments[2], level)
  local holders = overlay:holders(arguments[3], arguments[4])
  set_explanation(arguments, "Wanted: %s. %d hold it (seed %d):\n%s",
    tostring(wanted), #holders, overlay.seed, list_holders(holders))
  return #holders == wanted
end

function assertions.converged(_, arguments, level)
  local overlay = check_overlay(arguments[1], level)
  local holders = overlay:holders(arguments[2], arguments[3])
  set_explanation(arguments, "They hold (seed %d):\n%s", overlay.seed,
    list_holders(holders))
  for _, holder in ipairs(holders) do
    if holder.values ~= holders[1].values then
      return false
    end
  end
  return #holders > 0
end

--- Registers the assertions with luassert.
---@param luassert table
---@param say table  the module of luassert's messages
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

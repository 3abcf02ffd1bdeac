--- The commands that a running node answers at its consoles.
--- Tested by tests/spec/cli/steering_spec.lua, tests/spec/cli/status_spec.lua,
--- tests/spec/console/listing_spec.lua.

local json = require("kadenza.json")
local listing = require("kadenza.console.listing")
local log = require("kadenza.log")
local status = require("kadenza.console.status")
local tail = require("kadenza.console.tail")
local trace = require("kadenza.console.trace")

local M = {}

local LEVELS <const> =
  { error = true, warn = true, info = true, debug = true, off = true }

--- The level of `log` with which the node logs as it is configured.
M.DEFAULT_LEVEL = "default"

-- Reads the configuration again, and returns the outcome.
local function reload(running)
  local outcome = running.reload()
  if not outcome then
    return nil, "another reload is under way", "KAD_EBUSY"
  end
  return { succeeded = outcome.succeeded,
    problems = json.array(outcome.problems),
    changed = json.array(outcome.changed),
    needs_restart = json.array(outcome.needs_restart) },
    { "succeeded", "changed", "needs_restart", "problems" }
end

-- Sets the level of the log until the next reload, if there is one; returns the
-- level.
local function set_log(running, request)
  local level = request.level
  if level == M.DEFAULT_LEVEL then
    level = running.settings.log
  elseif level ~= nil and not LEVELS[level] then
    return nil, "the level must be error, warn, info, debug, off or default",
      "KAD_EINVAL"
  end
  local before = log.configure({ level = level })
  return { level = level or before.level, before = before.level,
    configured = running.settings.log }, { "level", "before", "configured" }
end

-- Runs what was typed in the state of the node's policies.
local function evaluate(running, request)
  if type(request.text) ~= "string" then
    return nil, "text must be a text", "KAD_EINVAL"
  end
  local succeeded, text = running.node:evaluate(request.text)
  return { succeeded = succeeded, text = text }, { "succeeded", "text" }
end

local function complete(running, request)
  if type(request.text) ~= "string" then
    return nil, "text must be a text", "KAD_EINVAL"
  end
  local words, start = running.node:complete(request.text)
  return { words = json.array(words), start = start }, { "words", "start" }
end

--- Returns the functions that answer the commands, by their names.
---@param running table  as of kadenza.console.status
---@param server kadenza.ConsoleServer
---@return table<string, fun(request: table, console: kadenza.Console): table?,
---  any, string?> handlers
function M.of(running, server)
  local tails = tail.new(running.node)
  return {
    complete = function(request)
      return complete(running, request)
    end,
    contacts = function()
      return listing.contacts(running.node)
    end,
    evaluate = function(request)
      return evaluate(running, request)
    end,
    log = function(request)
      return set_log(running, request)
    end,
    lookup = function(request)
      return trace.look_up(running.node, request)
    end,
    records = function(request)
      return listing.records(running.node, request)
    end,
    reload = function()
      return reload(running)
    end,
    status = function()
      return status.of(running, server:stats()), status.ORDER
    end,
    tail = function(request, console)
      return tails:follow(request, console)
    end,
  }
end

return M

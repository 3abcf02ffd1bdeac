--- Fixtures of the specs of kadenza.testing: a policy, and wrappers.

local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

local M = {}

-- The policy.
local BOOK <const> = [[
local kad = require("kadenza")

local waits = { short = 1, long = 9 }

local function validate(record, ctx)
  if record.value == "broken" then
    error("a broken rule")
  elseif record.value == "endless" then
    while true do end
  elseif waits[record.value] then
    kad.sleep(waits[record.value])
  elseif record.value == "who" then
    return nil, ctx.from.address .. " " .. tostring(ctx.from.proven), 210
  elseif record.value == "why" then
    return nil, ctx.reason .. " " .. ctx.node:addresses()[1]
  elseif record.value == "kept" then
    kept = record
  elseif record.value:find("spam") then
    return nil, "no spam, please"
  end
  return true
end

return {
  name = "book",
  deadline = 3,
  types = {
    line = {
      max_values = 3,
      validate = validate,
      merge = function(held, record)
        table.insert(held, 1, record)
        return held
      end,
      select = function(records)
        return { value = tostring(#records) }
      end,
      expire = function(record)
        return record.age + 1e12
      end,
      republish = function(record)
        return record.value ~= "once" and 60
      end,
    },
  },
  rpc = {
    greet = function(request, ctx)
      kad.log.info("greeted", { from = ctx.from and ctx.from.address })
      return { text = "hello, " .. request.args.name }
    end,
  },
  on_request = function(request)
    if request.method == "mute" then
      return false
    end
    return request.method ~= "deny" or nil, "denied"
  end,
  on_contact = function(contact)
    return contact.port ~= 1
  end,
}
]]

--- Wraps the body of a spec: calls fn(policy, path) with the policy loaded.
function M.with_book(fn)
  return support.spec(function()
    local files <close> = policies.files()
    local book <close> = assert(testing.load(files:write(BOOK, "book.lua")))
    fn(book, files.folder .. "/book.lua")
  end)
end

--- Wraps the body of a spec: calls fn(overlay) as a task of an overlay whose
--- nodes run the policy.
function M.with_overlay(options, fn)
  return support.spec(function()
    local files <close> = policies.files()
    options.policies = { files:write(BOOK, "book.lua") }
    local overlay <close> = testing.overlay(options)
    overlay:perform(fn, overlay)
  end)
end

--- Returns the message of the error that fn() raises.
function M.message_of(fn)
  local fine, problem = pcall(fn)
  assert(not fine, "no error")
  return type(problem) == "table" and problem.message or problem
end

--- Calls the `validate` hook of the type `line`.
function M.call_line(book, value, context)
  return book:call("types.line.validate", { value = value }, context)
end

return M

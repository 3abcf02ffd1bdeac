--- Fixtures of the specs of policies: policy files, and a simulated node that
--- runs them with a neighbour that does not.

local kad = require("kadenza")
local policy = require("kadenza.policy")
local support = require("tests.spec.support")

local M = {}

--- The budget of a hook call in specs, in instructions.
M.INSTRUCTIONS = 300000

--- A temporary folder of policy files, removed when it is closed.
local Files = {}
Files.__index = Files

function Files:write(text, name)
  local path = self.folder .. "/" .. (name or "policy.lua")
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

function Files:__close()
  self.remove()
end

function M.files()
  local folder, remove = support.temporary_folder()
  return setmetatable({ folder = folder, remove = remove }, Files)
end

local function with_budget(fn, ...)
  local before = policy.INSTRUCTIONS
  policy.INSTRUCTIONS = M.INSTRUCTIONS
  local results = table.pack(pcall(fn, ...))
  policy.INSTRUCTIONS = before
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

--- Returns a policy that accepts every note and republishes none.
function M.plain_policy()
  return { types = { note = { republish = false } } }
end

--- Wraps the body of a spec: opens a node that runs the policy and one that
--- accepts every note, in virtual time, and calls `fn(world)` as a task.
--- `world` has net, node, other, events (of the log) and hooks(): statistics.
---@param text string|table  of the file, or a policy table
---@param fn async fun(world: table)
---@param config? table  of both nodes
---@param apart? boolean  the other node does not join: their codecs differ
function M.with(text, fn, config, apart)
  return support.spec(function()
    local files <close> = M.files()
    local world = { files = files }
    world.events = support.logged(function()
      with_budget(function()
        local net <close> = kad.sim({ join = false, seed = 1, config = config })
        world.net = net
        world.path = type(text) == "string" and files:write(text)
        world.node = assert(net:open({ policies = { world.path or text } }))
        world.other =
          assert(net:open({ policies = { M.plain_policy() } }))
        world.hooks = function()
          return policy.stats(world.node).hooks
        end
        net:perform(function()
          if not apart then
            assert(world.other:bootstrap(world.node:addresses()))
            kad.sleep(5)
          end
          fn(world)
        end)
      end)
    end)
    if world.after then
      world.after(world)
    end
  end)
end

--- Tries to load a policy; returns the results of `kad.node`.
---@param text string
---@return kadenza.Node? node
---@return string? message
---@return string? code
function M.load(text)
  local files <close> = M.files()
  local path = files:write(text)
  return with_budget(function()
    local net <close> = kad.sim({ join = false })
    local node, message, code = net:open({ policies = { path } })
    return node and true, message, code
  end)
end

--- Returns the error fields of the logged failures of policies.
---@param events table[]
---@return string[] errors
function M.failures(events)
  local errors = {}
  for _, event in ipairs(events) do
    if event.message == "a policy failed" then
      errors[#errors + 1] = event.fields.error
    end
  end
  return errors
end

--- Code that uses more memory than specs allow before it runs too long.
M.HUNGRY =
  "local t = {} while true do t[#t + 1] = ('x'):rep(5e5 + #t) end"

--- Returns a policy that counts its calls and saves the number. `more` is added
--- to its table.
---@param more? string
---@param version? integer
---@return string text
function M.counting(more, version)
  return string.format([[
    local kad = require("kadenza")
    local calls = 0
    return {
      name = "count", version = %s,
      rpc = { run = function()
        calls = calls + 1
        return { calls = calls }
      end },
      %s
    } ]], version or 1, more or [[
      save = function() return { calls = calls } end,
      restore = function(state) calls = state.calls end,
    ]])
end

--- Returns a policy whose type `note` has these fields. They begin on line 2.
---@param fields string
---@return string text
function M.note(fields)
  return 'local kad = require("kadenza")\n'
    .. "return { types = { note = { " .. fields .. " } } }"
end

--- Returns a policy whose query `run` has this body. It begins on line 2.
---@param body string
---@return string text
function M.rpc(body)
  return 'local kad = require("kadenza")\nreturn { rpc = { run = '
    .. "function(request, ctx) " .. body .. " end } }"
end

--- Sends the policies' node a query.
---@param world table
---@param name? string  default "run"
---@param args? table
function M.call(world, name, args)
  return world.other:call(world.node:addresses()[1], name or "run", args)
end

return M

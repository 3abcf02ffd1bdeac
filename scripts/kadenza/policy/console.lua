--- Code typed at a console, in the program's state: passes it to the state of
--- the node's policies, and returns what it shows. A node without policy files
--- gets a state of its own for that.
--
--     local succeeded, text = node:evaluate("stats().contacts") -- in a task
--
-- Tested by tests/spec/policy/prompt_spec.lua.

local answers = require("kadenza.policy.answers")
local check = require("kadenza.check")
local core = require("kadenza.core")
local task = require("kadenza.task")

local M = {}

--- Largest text, in bytes.
M.MAX_TEXT = 65536

--- Seconds that code may wait.
M.DEADLINE = 30

local RELOADED <const> =
  "the policies were reloaded: the globals of the prompt are gone\n"

-- Code that runs.
local Typed = {}
Typed.__index = Typed

function Typed:finish(succeeded, text)
  local done, console = self.done, self.console
  if not done then
    return
  end
  self.done = nil
  console.running[self.id] = nil
  if console.net:is_open() then
    console.net:stop_timer(self.timer)
  end
  done(succeeded, self.note .. text)
end

-- Ends code from outside.
function Typed:interrupt(why)
  local console = self.console
  if self.done and console.net:is_open() then
    console.handle:ask("interrupt", string.pack("i8", self.id))
  end
  self:finish(false, why)
end

-- The console of one handle of policies.
local Console = {}
Console.__index = Console

local function new_console(node, handle, is_later)
  local self = setmetatable({ handle = handle, net = node.net, running = {},
    count = 0, note = is_later and RELOADED or "" }, Console)
  answers.take(handle, "typed", function(id, succeeded, text)
    local typed = self.running[id]
    if typed and self.net:is_open() then
      self.net:start_timer(0, function()
        typed:finish(succeeded, text)
      end)
    end
  end)
  return self
end

local function interrupt_all(node)
  local list = {}
  for _, typed in pairs(node.console.running) do
    list[#list + 1] = typed
  end
  for _, typed in ipairs(list) do
    typed:interrupt("the node is closing")
  end
end

-- Returns the handle of the state in which code runs; nil, message, code if it
-- cannot be made.
local function handle_of(node)
  local policy = require("kadenza.policy")
  if policy.has_files(node) then
    return node.policy_handle
  end
  if not node.console_handle then
    local handle, message, code = policy.open_console(node)
    if not handle then
      return nil, message, code
    end
    node.console_handle = handle
  end
  return node.console_handle
end

local function console_of(node)
  local handle, message = handle_of(node)
  if not handle then
    return nil, message
  end
  local before = node.console
  if not before or before.handle ~= handle then
    if not before then
      node:on_close(interrupt_all)
    end
    node.console = new_console(node, handle, before and before.count > 0)
  end
  return node.console
end

-- Starts code. Returns a function that interrupts it.
function Console:start(text, done)
  self.count = self.count + 1
  local typed = setmetatable({ console = self, id = self.count, done = done,
    note = self.note }, Typed)
  self.note = ""
  local started, message =
    self.handle:ask("evaluate", string.pack("i8s4", typed.id, text))
  if started ~= "started" then
    typed.done = nil
    done(false, typed.note .. (message or "too much code runs already"))
    return
  end
  self.running[typed.id] = typed
  typed.timer = self.net:start_timer(M.DEADLINE * 1000, function()
    typed:interrupt("it did not end within " .. M.DEADLINE .. " seconds")
  end)
  return function()
    typed:interrupt("interrupted")
  end
end

---@class kadenza.Node
local Node = {}

M.methods = Node

--- Runs code in the state of the node's policies, as if it were typed at a
--- console: an expression or statements, with `node`, `kad`, `policies` (copies
--- of their tables), `stats()` and `print`. Globals that it sets stay until the
--- policies are reloaded. It has the budgets of a policy, and may wait for 30
--- seconds.
---@async
---@param text string  at most 65,536 bytes
---@param callback? fun(succeeded: boolean, text: string)
---@return boolean succeeded
---@return string text  what it has printed, and its values or its error
function Node:evaluate(text, callback)
  check.open(self, 2)
  check.kind(text, "string", "text", 2)
  return task.operate(function(done)
    if #text > M.MAX_TEXT then
      done(false, "the text has more than " .. M.MAX_TEXT .. " bytes")
      return nil
    end
    local console, message = console_of(self)
    if not console then
      done(false, message)
      return nil
    end
    return console:start(text, done)
  end, callback)
end

--- Returns what the end of a text for `evaluate` may be replaced with. Runs no
--- code of policies.
---@param text string
---@return string[] words  in order; at most 200
---@return integer start  the place in the text of the first byte to replace
function Node:complete(text)
  check.open(self, 2)
  check.kind(text, "string", "text", 2)
  local console = #text <= M.MAX_TEXT and console_of(self)
  local packed = console and console.handle:ask("complete", text)
  if not packed then
    return {}, #text + 1
  end
  local found = core.unpack_plain(packed)
  return found.words, found.start
end

return M

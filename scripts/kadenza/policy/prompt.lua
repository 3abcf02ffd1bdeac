--- Code that an operator types at a console, in the state of the node's
-- policies. A text is an expression or statements; it runs as a task, metered
-- as a policy's code, and what it prints and returns is shown as text.
--
-- Globals that it sets stay until the policies are reloaded. It cannot change
-- the policies: `policies` has copies of their tables.
--
-- Tested by tests/spec/policy/prompt_spec.lua.

local chunk = require("kadenza.chunk")
local completion = require("kadenza.policy.completion")
local core = require("kadenza.core")
local display = require("kadenza.policy.display")
local errors = require("kadenza.errors")
local sandbox = require("kadenza.sandbox")
local task = require("kadenza.task")

local M = {}

-- The name of the chunk in messages.
local NAME <const> = "console"

local MAX_RUNNING <const> = 16
local MAX_COPIED <const> = 10000 -- tables of a policy that are copied

local Prompt = {}
Prompt.__index = Prompt

---------------------------------------------------------------- contents --

-- Returns a copy of a value, with its tables but without metatables. `copies`
-- has the tables that were copied, and their number as `n`.
local function copy_of(value, copies)
  if type(value) ~= "table" or copies[value] then
    return copies[value] or value
  elseif copies.n >= MAX_COPIED then
    return "(not copied: too many tables)"
  end
  local copy = {}
  copies[value], copies.n = copy, copies.n + 1
  for key, item in next, value do
    if type(key) ~= "table" then
      copy[key] = copy_of(item, copies)
    end
  end
  return copy
end

-- Returns copies of the policies by name.
local function copy_policies(list)
  local policies = {}
  for _, loaded in ipairs(list) do
    policies[loaded.name] = copy_of(loaded.policy, { n = 0 })
  end
  return policies
end

-- Makes the environment of what is typed, with the globals that it always has.
function Prompt:make_environment()
  self.environment, self.globals = sandbox.console_environment(NAME, self.node,
    self.network, {
      node = self.node,
      stats = function()
        return self.node:stats()
      end,
      print = function(...)
        self:print(...)
      end,
      policies = copy_policies(self.list),
    })
end

----------------------------------------------------------------- running --

-- Finds the evaluation whose code runs: that of the task, or the last one for
-- tasks that it has started.
function Prompt:current()
  return self.by_task[task.current()] or self.last
end

function Prompt:print(...)
  local evaluation = self:current()
  if evaluation then
    evaluation.output:add_line(...)
  end
end

-- Returns the function of a text: of an expression, or else of statements.
local function compile(text, environment)
  core.charge(#text)
  local fn = chunk.load("return " .. text, NAME, environment)
  if fn then
    return fn
  end
  local problem
  fn, problem = chunk.load(text, NAME, environment)
  return fn, problem
end

-- Runs a text and shows its values. Errors that it raises are returned.
local function run(self, evaluation, text)
  local fn, problem = compile(text, self.environment)
  if not fn then
    return false, problem
  end
  local results = table.pack(core.pcall(fn))
  if not results[1] then
    return false, errors.text_of(results[2])
  end
  evaluation.output:add_values(table.unpack(results, 2, results.n))
  return true
end

-- Returns whether an evaluation has succeeded, and why not.
local function outcome_of(work)
  local succeeded, result, problem = pcall(work.await, work) -- it has ended
  if not succeeded then
    return false, (string.match(work:failure(), "^[^\n]*"))
  elseif work:status() == "canceled" then
    return false, "interrupted"
  end
  return result, problem
end

-- Ends an evaluation. One that ran out of memory may have left it in globals.
function Prompt:finish(evaluation, work)
  local succeeded, problem = outcome_of(work)
  self.by_task[work], evaluation.work = nil, nil -- with all that it holds
  self.running[evaluation.id] = nil
  self.count = self.count - 1
  if problem then
    problem = display.message(problem)
    if string.find(problem, "out of memory", 1, true)
      or string.find(problem, "not enough memory", 1, true)
    then
      self:make_environment()
      problem = problem .. "\nthe globals of the prompt were dropped"
    end
    evaluation.output:add_text(problem)
  end
  core.answer(evaluation.id, succeeded or false, evaluation.output:text())
end

function Prompt:start(evaluation, text)
  local work = task.spawn(self.network, function()
    local current = task.current()
    self.by_task[current], evaluation.work = evaluation, current
    return run(self, evaluation, text)
  end)
  if work:status() == "running" then
    work:on_end(function()
      self:finish(evaluation, work)
    end)
  else
    self:finish(evaluation, work)
  end
end

--- Starts the evaluation of a text. Its end is told by `core.answer`: the id,
--- whether it has succeeded, and a text.
---@param id integer
---@param text string
---@return boolean started  false when too many run
function Prompt:evaluate(id, text)
  if self.count >= MAX_RUNNING then
    return false
  end
  local evaluation = { id = id, output = display.new() }
  self.count = self.count + 1
  self.running[id], self.last = evaluation, evaluation
  -- In the next turn, as a callback of the core: with the memory in reserve.
  self.network:start_timer(0, function()
    self:start(evaluation, text)
  end)
  return true
end

--- Interrupts an evaluation that waits or was preempted.
---@param id integer
function Prompt:interrupt(id)
  local evaluation = self.running[id]
  if evaluation and evaluation.work then
    evaluation.work:cancel()
  end
end

--- Returns what a text may be continued with: see kadenza.policy.completion.
---@param text string
---@return string[] words
---@return integer start
function Prompt:complete(text)
  return completion.of(text, self.environment, self.globals)
end

--- Makes the prompt of a state.
---@param list kadenza.Loaded[]
---@param node kadenza.Node  the facade
---@param network kadenza.core.Network
function M.new(list, node, network)
  local self = setmetatable({ list = list, node = node, network = network,
    running = {}, by_task = setmetatable({}, { __mode = "k" }), count = 0 },
    Prompt)
  self:make_environment()
  return self
end

return M

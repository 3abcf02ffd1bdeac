--- A policy under test: loaded as a node would load it, in a sandbox of its own
--- with its budgets, and asked hook by hook.
--
-- Its node lives alone in virtual time, so that a hook that waits takes no time
-- and needs no socket.

local core = require("kadenza.core")
local literals = require("kadenza.testing.literals")
local log = require("kadenza.log")
local node = require("kadenza.node")
local options = require("kadenza.options")
local policy = require("kadenza.policy")
local shape = require("kadenza.policy.shape")

local M = {}

local unplaced <const> = literals.unplaced

-- Milliseconds that a hook may wait, unless its policy says how long.
local DEADLINE_MS <const> = 2000

local LISTEN <const> = "192.0.2.200:6881"

--- What the host makes of an answer.
---@class kadenza.testing.Answer
---@field verdict "accept"|"refuse"|"silence"|"failed"
---@field reason? string  of a refusal
---@field code? integer  of a refusal; 202 when the hook failed
---@field records? table[]  of merge and select
---@field seconds? integer|false  of expire and republish, brought into range;
---  false: never again
---@field reply? table  of a query
---@field error? string  when it failed: the message, with file and line
---@field traceback? string  when it failed
---@field waited number  seconds that it waited
local Answer = {}
Answer.__name = "kadenza.testing.Answer"

function Answer:__tostring()
  if self.verdict == "failed" then
    return "failed: " .. (self.error or "it cannot run")
  elseif self.verdict == "refuse" then
    return ("refuse, %d: %s"):format(self.code, self.reason)
  end
  return self.verdict
end

---@class kadenza.testing.Policy
---@field log table[]  what the policy has logged: level, message, fields
---@field private handle table
local Policy = {}
Policy.__index = Policy
Policy.__name = "kadenza.testing.Policy"

-- Keeps an event: a failure for the answer, anything else in `log`.
local function keep(self, level, message, fields)
  if message == "a policy failed" then
    self.failure = fields
  else
    table.insert(self.log, { level = level, message = message,
      fields = fields })
  end
end

-- Takes the log of a VM, which comes as names and values.
local function writer(self)
  return function(level, message, ...)
    local fields = {}
    for i = 1, select("#", ...), 2 do
      local name, value = select(i, ...)
      fields[name] = value
    end
    keep(self, level, message, fields)
  end
end

--- Loads a policy, or several that one node is to have: files in a sandbox, or
--- tables. `on_start` does not run. Close it when it is not used any more.
---@param policies string|table|function|(string|table|function)[]
---@return kadenza.testing.Policy? policy
---@return string? message  names the file, and the line where there is one
---@return kadenza.Code? code
function M.load(policies)
  if type(policies) ~= "table" or #policies == 0 then
    policies = { policies }
  end
  policy.check_list(policies, 2)
  local self = setmetatable({ log = {} }, Policy)
  self.net = assert(core.sim({ seed = 1 }))
  self.node = assert(node.open_in(self.net, { listen = LISTEN }))
  local handle, message, code = policy.host(self.node, policies, writer(self))
  if not handle then
    self:close()
    return nil, message, code
  end
  self.handle = handle
  self.about = core.decode(handle:describe())
  return self
end

--- Ends the policy and its node. Does nothing when it is closed.
function Policy:close()
  if self.net:is_open() then
    self.node:close()
    if self.handle then
      self.handle:close()
    end
    self.net:close()
  end
end

Policy.__close = Policy.close
Policy.__gc = Policy.close

--- Returns what is known of the policy: `hooks` (path → number), `types`,
--- `methods`, `places`, `samples`.
---@return table about
function Policy:describe()
  return self.about
end

------------------------------------------------------------------- calls --

local function records(list, kind)
  local all = {}
  for i, record in ipairs(list) do
    all[i] = unplaced.record(record)
    all[i].type = kind
  end
  return all
end

local function record_of(given, kind)
  local record = unplaced.record(given)
  record.type = kind or record.type
  return record
end

-- How the arguments of a hook make a question, by its last name. Each returns
-- the question and the context.
local readers = {}

function readers.merge(kind, held, record, context)
  return { held = records(held, kind), record = record_of(record, kind) },
    context
end

function readers.select(kind, list, context)
  return { held = records(list, kind) }, context
end

function readers.on_request(_, request, context)
  request = unplaced.request(request)
  return { method = request.method, args = request.args }, context
end

function readers.on_contact(_, contact, context)
  return { from = unplaced.contact(contact) }, context
end

function readers.record(kind, record, context)
  return { record = record_of(record, kind) }, context
end

function readers.rpc(name, request, context)
  local args = literals.is_request(request) and request.args or request
  return { method = name, args = args or {} }, context
end

-- Returns the reader of a path, and the type or query that it is of.
local function reader_of(path)
  local kind, hook = path:match("^types%.(.+)%.([%a_]+)$")
  local query = path:match("^rpc%.(.+)$")
  if query then
    return readers.rpc, query
  end
  return readers[hook or path] or readers.record, kind
end

local function make_question(path, ...)
  local reader, kind = reader_of(path)
  local question, given = reader(kind, ...)
  local context = unplaced.context(given or {})
  question.reason = context.reason
  question.from = question.from or rawget(context, "from")
  return question
end

-- Runs virtual time until the hook that waits has answered, or its deadline
-- passes.
local function await(self, number)
  local deadline_ms = self.about.deadlines[number] or 0
  for _ = 0, deadline_ms > 0 and deadline_ms or DEADLINE_MS do
    local answer = self.handle:take_answer()
    if answer then
      return answer
    end
    self.net:run(1)
  end
  self.handle:give_up()
  self.net:run(1)
  return self.handle:take_answer() or { verdict = "failed" }
end

-- Asks the hook; what tables log goes to the policy's log, too.
local function ask(self, number, question)
  local before = log.configure({
    level = "debug",
    sink = function(event)
      keep(self, event.level, event.message, event.fields)
    end,
  })
  local fine, answer = pcall(function()
    return self.handle:ask(number, question) or await(self, number)
  end)
  log.restore(before)
  if not fine then
    error(answer, 0)
  end
  return answer
end

-- Of what a merge or select returns, key, type and age are not read.
local function plain_records(list)
  for _, record in ipairs(list or {}) do
    record.key, record.type, record.age = nil, nil, nil
  end
end

local function finish(self, answer, path, began)
  answer.waited = self.net:now() - began
  plain_records(answer.records)
  if path:find("%.republish$") and answer.seconds == 0 then
    answer.seconds = false
  end
  if answer.verdict == "failed" then
    local text = self.failure and self.failure.error
      or "it did not run: out of memory"
    answer.code = 202
    answer.error, answer.traceback = text:match("^([^\n]*)\n?(.*)$")
  end
  return setmetatable(answer, Answer)
end

--- Calls one hook and returns what the host makes of it. What it is about is a
--- literal, as `testing.record` makes it or a table for that:
---
---     policy:call("types.line.validate", { value = "hello" }, context)
---     policy:call("types.line.merge", { held… }, record, context)
---     policy:call("types.line.select", { records… }, context)
---     policy:call("rpc.greet", { name = "Ann" }, context)
---     policy:call("on_request", { method = "ping" }, context)
---     policy:call("on_contact", { address = "192.0.2.7:6881" }, context)
---
--- The hook gets views, as in a node, and has its budgets. The core's own
--- checks (size, signature) are not made: an overlay does.
---@param path string
---@param ... any
---@return kadenza.testing.Answer answer
function Policy:call(path, ...)
  if not self.net:is_open() then
    error("closed policy", 2)
  end
  local number = self.about.hooks[path]
  if not number then
    error(("the policy has no hook '%s'%s"):format(tostring(path),
      shape.suggest(tostring(path), self.about.hooks)), 2)
  end
  local question = options.call(2, make_question, path, ...)
  self.failure = nil
  local began = self.net:now()
  local answer = ask(self, number, question)
  return finish(self, answer, path, began)
end

return M

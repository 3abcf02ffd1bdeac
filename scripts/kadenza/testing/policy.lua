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
local suggest = require("kadenza.suggest")
local task = require("kadenza.task")

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

---@class kadenza.testing.Failure
---@field hook string  "policy: hook", or the file that a task is of
---@field error string  with file and line
---@field traceback string

---@class kadenza.testing.Policy
---@field log table[]  what the policy has logged: level, message, fields
---@field failures kadenza.testing.Failure[]  what the host has said of it
---@field private handle table
local Policy = {}
Policy.__index = Policy
Policy.__name = "kadenza.testing.Policy"

-- Tells whether an event is the host's, about a failure, and not the policy's.
local function is_failure(message, fields)
  return fields.error and (message:find("^a policy failed") ~= nil
    or message == "a task failed" and fields.policy ~= nil)
end

-- Keeps an event: a failure, or anything else in `log`.
local function keep(self, level, message, fields)
  if not is_failure(message, fields) then
    table.insert(self.log, { level = level, message = message,
      fields = fields })
    return
  end
  local text, traceback = tostring(fields.error):match("^([^\n]*)\n?(.*)$")
  self.failure = { hook = fields.hook or fields.policy, error = text,
    traceback = traceback }
  table.insert(self.failures, self.failure)
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

-- Calls `fn`; what tables log meanwhile goes to the policy's log, too.
local function listening(self, fn, ...)
  local before = log.configure({
    level = "debug",
    sink = function(event)
      keep(self, event.level, event.message, event.fields)
    end,
  })
  local results = table.pack(pcall(fn, ...))
  log.restore(before)
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

-- Returns a list of what may be one policy.
local function to_list(policies)
  return type(policies) == "table" and #policies > 0 and policies
    or { policies }
end

-- Gives the node policies, in the place of those that it has.
local function take(self, policies)
  local handle, message, code =
    policy.host(self.node, policies, writer(self))
  if not handle then
    return nil, message, code
  end
  self.handle, self.policies = handle, policies
  self.node.policy_handle = handle
  self.about = core.decode(handle:describe())
  return true
end

-- Raises in the name of the caller's caller when the policy is closed.
local function check_open(self)
  if not self.net:is_open() then
    error("closed policy", 3)
  end
end

--- Loads a policy, or several that one node is to have: files in a sandbox, or
--- tables. Nothing of it is started. Close it when it is not used any more.
---@param policies string|table|function|(string|table|function)[]
---@return kadenza.testing.Policy? policy
---@return string? message  names the file, and the line where there is one
---@return kadenza.Code? code
function M.load(policies)
  policies = to_list(policies)
  policy.check_list(policies, 2)
  local self = setmetatable({ log = {}, failures = {}, policies = policies },
    Policy)
  self.net = assert(core.sim({ seed = 1 }))
  self.node = assert(node.open_in(self.net, { listen = LISTEN }))
  local taken, message, code = take(self, policies)
  if not taken then
    self:close()
    return nil, message, code
  end
  return self
end

--- Calls `on_start` and begins the timers (`every`), which run in `run`.
function Policy:start()
  check_open(self)
  listening(self, self.handle.call, self.handle, "start")
  self.started = true
end

--- Lets so many seconds of virtual time pass, at once.
---@param seconds number
function Policy:run(seconds)
  check_open(self)
  listening(self, self.net.run, self.net,
    options.call(2, task.milliseconds, seconds, 0))
end

--- Loads the files anew, or other policies, as a reload of a node does: what
--- `save` returns goes to `restore`, and if anything is wrong the old ones
--- stay.
---@param policies? string|table|function|(string|table|function)[]
---@return true? reloaded
---@return string? message
---@return kadenza.Code? code
function Policy:reload(policies)
  check_open(self)
  local list = to_list(policies or self.policies)
  policy.check_list(list, 2)
  local before = self.handle
  local taken, message, code = listening(self, take, self, list)
  if not taken then
    return nil, message, code
  end
  if self.started then
    listening(self, before.call, before, "stop")
    self:start()
  end
  self.net:run(1)
  before:close()
  return true
end

--- Ends the policy, with `on_stop` if it was started, and its node. Does
--- nothing when it is closed.
function Policy:close()
  if self.net:is_open() then
    if self.started then
      listening(self, self.handle.call, self.handle, "stop")
    end
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

local function ask(self, number, question)
  return self.handle:ask(number, question) or await(self, number)
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
    local failure = self.failure
      or { error = "it did not run: out of memory", traceback = "" }
    answer.code = 202
    answer.error, answer.traceback = failure.error, failure.traceback
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
  check_open(self)
  local number = self.about.hooks[path]
  if not number then
    error(("the policy has no hook '%s'%s"):format(tostring(path),
      suggest.hint(tostring(path), self.about.hooks)), 2)
  end
  local question = options.call(2, make_question, path, ...)
  self.failure = nil
  local began = self.net:now()
  local answer = listening(self, ask, self, number, question)
  return finish(self, answer, path, began)
end

return M

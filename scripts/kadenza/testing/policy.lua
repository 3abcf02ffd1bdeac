--- A policy under test: loaded as a node loads it, sandboxed and with budgets.
--- A test calls its hooks one by one.
--
-- Its node is alone in virtual time, so a hook that waits takes no real time,
-- and no socket is needed.

local core = require("kadenza.core")
local errors = require("kadenza.errors")
local http = require("kadenza.testing.http")
local literals = require("kadenza.testing.literals")
local log = require("kadenza.log")
local node = require("kadenza.node")
local policy = require("kadenza.policy")
local suggest = require("kadenza.suggest")
local task = require("kadenza.task")

local M = {}

local unplaced <const> = literals.unplaced

-- Default deadline of a hook call.
local DEADLINE_MS <const> = 2000

local LISTEN <const> = "192.0.2.200:6881"

--- The result of a hook call, as the host understands it.
---@class kadenza.testing.HookResult
---@field verdict "accept"|"reject"|"drop"|"failed"
---@field reason? string  of a rejection
---@field code? integer  of a rejection; 202 if the hook failed
---@field records? table[]  of merge and select
---@field seconds? integer|false  of expire and republish, clamped to the range;
---  false: never republish
---@field reply? table  of a query
---@field error? string  if it failed: the message, with file and line
---@field traceback? string  if it failed
---@field waited number  seconds that the call waited
local HookResult = {}
HookResult.__name = "kadenza.testing.HookResult"

function HookResult:__tostring()
  if self.verdict == "failed" then
    return "failed: " .. (self.error or "it cannot run")
  elseif self.verdict == "reject" then
    return ("reject, %d: %s"):format(self.code, self.reason)
  end
  return self.verdict
end

---@class kadenza.testing.Failure
---@field hook string  "policy: hook", or the file of a failed task
---@field error string  with file and line
---@field traceback string

---@class kadenza.testing.Policy
---@field log table[]  events that the policy logged: level, message, fields
---@field failures kadenza.testing.Failure[]  failures that the host logged
---@field private handle table
local Policy = {}
Policy.__index = Policy
Policy.__name = "kadenza.testing.Policy"

-- Tells whether an event was logged by the host about a failure.
local function is_failure(message, fields)
  return fields.error and (message:find("^a policy failed") ~= nil
    or message == "a task failed" and fields.policy ~= nil)
end

-- Adds an event to `failures` or to `log`.
local function add_event(self, level, message, fields)
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

-- Calls `fn`, and adds the events of this state's log to the policy's: policies
-- that are tables log to it.
local function with_log(self, fn, ...)
  local before = log.configure({
    level = "debug",
    sink = function(event)
      add_event(self, event.level, event.message, event.fields)
    end,
  })
  local results = table.pack(pcall(fn, ...))
  log.restore(before)
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

-- Returns a list of policies, given one policy or a list.
local function to_list(policies)
  return type(policies) == "table" and #policies > 0 and policies
    or { policies }
end

-- Replaces the policies of the node.
local function replace_policies(self, policies)
  local handle, message, code = policy.host(self.node, policies, function(...)
    add_event(self, ...)
  end)
  if not handle then
    return nil, message, code
  end
  self.handle, self.policies = handle, policies
  self.node.policy_handle = handle
  self.node.metrics = self.node.new_metrics
  self.about = core.decode(assert(handle:ask("describe", "")))
  return true
end

-- Raises an error that names the caller's caller if the policy is closed.
local function check_open(self)
  if not self.net:is_open() then
    error("closed policy", 3)
  end
end

--- Loads a policy, or several policies of one node: sandboxed files, or tables.
--- Starts nothing. Close the policy after use.
---@param policies string|table|function|(string|table|function)[]
---@return kadenza.testing.Policy? policy
---@return string? message  names the file and, where known, the line
---@return kadenza.Code? code
function M.load(policies)
  policies = to_list(policies)
  policy.check_list(policies, 2)
  local self = setmetatable({ log = {}, failures = {}, policies = policies },
    Policy)
  self.net = assert(core.sim({ seed = 1 }))
  self.node = assert(node.open_in(self.net, { listen = LISTEN }))
  local replaced, message, code = replace_policies(self, policies)
  if not replaced then
    self:close()
    return nil, message, code
  end
  return self
end

--- Calls `on_start` and starts the timers (`every`). They run within `run`.
function Policy:start()
  check_open(self)
  with_log(self, self.handle.call, self.handle, "start")
  self.started = true
end

--- Lets virtual time pass.
---@param seconds number
function Policy:run(seconds)
  check_open(self)
  with_log(self, self.net.run, self.net,
    errors.at_level(2, task.milliseconds, seconds, 0))
end

--- Loads the files again, or other policies, like a reload of a node: what
--- `save` returns goes to `restore`, and on failure the old policies stay.
---@param policies? string|table|function|(string|table|function)[]
---@return true? reloaded
---@return string? message
---@return kadenza.Code? code
function Policy:reload(policies)
  check_open(self)
  local list = to_list(policies or self.policies)
  policy.check_list(list, 2)
  local before = self.handle
  local replaced, message, code =
    with_log(self, replace_policies, self, list)
  if not replaced then
    return nil, message, code
  end
  if self.started then
    with_log(self, before.call, before, "stop")
    self:start()
  end
  self.net:run(1)
  before:close()
  return true
end

--- Closes the policy, with `on_stop` if it was started, and its node. Does
--- nothing if it is already closed.
function Policy:close()
  if self.net:is_open() then
    if self.started then
      with_log(self, self.handle.call, self.handle, "stop")
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

--- Returns a description of the policy: `hooks` (path → number), `types`,
--- `methods`, `places`, `samples`.
---@return table about
function Policy:describe()
  return self.about
end

------------------------------------------------------------------- calls --

local function make_record(given, kind)
  local record = unplaced.record(given)
  record.type = kind or record.type
  return record
end

local function make_records(list, kind)
  local all = {}
  for i, record in ipairs(list) do
    all[i] = make_record(record, kind)
  end
  return all
end

-- Functions that turn the arguments of policy:call into a hook call and its
-- context, by the last name of the hook's path.
local readers = {}

-- Raises for the hook of a route, which takes another kind of call.
local function check_no_route(path, level)
  if path:find("^http%.") then
    error(("call policy:request(%s) for a route"):format(
      path:sub(6)), level + 1)
  end
end

function readers.merge(kind, held, record, context)
  return {
    held = make_records(held, kind),
    record = make_record(record, kind),
  }, context
end

function readers.select(kind, list, context)
  return { held = make_records(list, kind) }, context
end

function readers.on_request(_, request, context)
  request = unplaced.request(request)
  return { method = request.method, args = request.args }, context
end

function readers.on_contact(_, contact, context)
  return { from = unplaced.contact(contact) }, context
end

function readers.record(kind, record, context)
  return { record = make_record(record, kind) }, context
end

function readers.rpc(name, request, context)
  local args = literals.is_request(request) and request.args or request
  return { method = name, args = args or {} }, context
end

-- Returns the reader of a path, and the name of its type or query.
local function reader_of(path)
  local kind, hook = path:match("^types%.(.+)%.([%a_]+)$")
  local query = path:match("^rpc%.(.+)$")
  if query then
    return readers.rpc, query
  end
  return readers[hook or path] or readers.record, kind
end

local function make_hook_call(path, ...)
  local reader, kind = reader_of(path)
  local call, given = reader(kind, ...)
  local context = unplaced.context(given or {})
  call.reason = context.reason
  call.from = call.from or rawget(context, "from")
  return call
end

-- Lets virtual time pass until the pending hook call ends or its deadline has
-- passed.
local function await_result(self, number)
  local deadline_ms = self.about.deadlines[number] or 0
  for _ = 0, deadline_ms > 0 and deadline_ms or DEADLINE_MS do
    local result = self.handle:take_probe_result()
    if result then
      return result
    end
    self.net:run(1)
  end
  self.handle:cancel_probe()
  self.net:run(1)
  return self.handle:take_probe_result() or { verdict = "failed" }
end

local function call_hook(self, number, call)
  return self.handle:probe(number, call) or await_result(self, number)
end

-- Removes the fields that are ignored in records of a merge or select.
local function remove_ignored_fields(list)
  for _, record in ipairs(list or {}) do
    record.key, record.type, record.age = nil, nil, nil
  end
end

local function finish_result(self, result, path, began)
  result.waited = self.net:now() - began
  remove_ignored_fields(result.records)
  if path:find("%.republish$") and result.seconds == 0 then
    result.seconds = false
  end
  if result.verdict == "failed" then
    local failure = self.failure
      or { error = "it did not run: out of memory", traceback = "" }
    result.code = 202
    result.error, result.traceback = failure.error, failure.traceback
  end
  return setmetatable(result, HookResult)
end

--- Calls a hook and returns its result. Records, requests, contacts and
--- contexts are made by `testing.record` and so on, or are tables of fields:
---
---     policy:call("types.line.validate", { value = "hello" }, context)
---     policy:call("types.line.merge", { held }, record, context)
---     policy:call("types.line.select", { record }, context)
---     policy:call("rpc.greet", { name = "Ann" }, context)
---     policy:call("on_request", { method = "ping" }, context)
---     policy:call("on_contact", { address = "192.0.2.7:6881" }, context)
---
--- The hook receives views, as in a node, and has its budgets. The core's own
--- checks (size, signature) are not made here; an overlay makes them.
---@param path string
---@param ... any
---@return kadenza.testing.HookResult result
function Policy:call(path, ...)
  check_open(self)
  local number = self.about.hooks[path]
  if not number then
    error(("the policy has no hook '%s'%s"):format(tostring(path),
      suggest.hint(tostring(path), self.about.hooks)), 2)
  end
  check_no_route(path, 2)
  local call = errors.at_level(2, make_hook_call, path, ...)
  self.failure = nil
  local began = self.net:now()
  local result = with_log(self, call_hook, self, number, call)
  return finish_result(self, result, path, began)
end

-- Lets virtual time pass until the request has its response.
local function await_response(self, request)
  local response
  http.start(self.node, request, function(result)
    response = result
  end)
  while not response do
    self.net:run(1)
  end
  return response
end

--- Returns the values of the metrics that the policy declares, by name.
---@return table<string, number> values
function Policy:metrics()
  check_open(self)
  local values = {}
  for _, metric in ipairs(self.node:policy_metrics()) do
    values[metric.name] = metric.value
  end
  return values
end

--- Sends the policy a request over HTTP, which a hook of `http` serves. Virtual
--- time passes while the hook waits.
---
---     policy:request("PUT", "/poll/lunch", { json = { vote = "yes" } })
---     local options = { query = { n = "1" } }
---     local poll = policy:request("GET", "/poll/lunch", options)
---     assert.same({ "yes" }, poll.json)
---
---@param method string
---@param path string
---@param options? kadenza.testing.RequestFields
---@return kadenza.testing.Response response
function Policy:request(method, path, options)
  check_open(self)
  local request = http.request(method, path, options, 2)
  return with_log(self, await_response, self, request)
end

return M

--- Churn: nodes leave after a session. A new node replaces each, or the same
--- node returns later. These functions are methods of `kadenza.Sim`.

local check = require("kadenza.check")
local node_module = require("kadenza.node")
local random = require("kadenza.sim.random")
local sessions = require("kadenza.sim.sessions")
local task = require("kadenza.task")
local timer_queue = require("kadenza.sim.timer_queue")

--- How nodes come and go. Session lengths are drawn at random; a node that is
--- open when churn starts is at a random moment of its session.
---@class kadenza.ChurnOptions
---@field session? string  distribution of session lengths: `exponential` (by
---  default), `weibull`, `pareto`, `measured` (half of the sessions end within
---  2 hours, 80 % within 8) or `fixed`
---@field median? number  seconds; 7200 for `measured`
---@field shape? number  of `weibull` (0.6, above 0.1) and `pareto` (3, above 1)
---@field crash? number  share of sessions that end in a crash, 0.5; the other
---  nodes close
---@field return_after? number  seconds until the same node returns, with its
---  id, address and contacts; without it, a new node replaces it at once
---@field stay? integer|kadenza.Node[]  the nodes that never leave: a list, or a
---  number of the first in `nodes`

---@class kadenza.Sim
local Sim = {}

local M = {}

local OPTIONS <const> = {
  session = "string",
  median = "number",
  shape = "number",
  crash = { kind = "number", from = 0, to = 1, default = 0.5 },
  return_after = { kind = "number", from = 0, to = 1000000000 },
  stay = {
    is = function(value)
      return math.type(value) == "integer" or type(value) == "table"
    end,
    name = "an integer or a list of nodes",
  },
}

--- Raises an error unless the options are valid options of churn.
---@param given any
---@param level integer  of the caller that made the mistake, as for `error`
function M.check(given, level)
  if type(given) ~= "table" then
    error("churn must be a table, not " .. type(given), level + 1)
  end
  check.options(given, level + 1, OPTIONS)
  sessions.check(given, level + 1)
end

-- Starts the timer of the next event.
local function schedule(self, churn)
  local time = churn.queue:next_time()
  if churn.timer then
    self.network:stop_timer(churn.timer)
  end
  local wait = time and math.max(time - self:now(), 0)
  churn.timer = wait and self.network:start_timer(math.ceil(wait * 1000),
    churn.on_timer)
end

local function begin_session(self, churn, node)
  local length = churn.sessions:length(random.uniform(self.network))
  churn.queue:add(self:now() + length, node)
end

local function start_join(self, node)
  task.spawn(self.network, function()
    if self:let_join(node) then
      self.counts.joined = self.counts.joined + 1
    end
  end)
end

-- Ends a session. Returns the place of the node in `nodes`.
local function end_session(self, churn, node)
  local place = self:place_of(node)
  if random.uniform(self.network) < churn.crash then
    self.counts.crashed = self.counts.crashed + 1
    node_module.crash(node)
  else
    self.counts.left = self.counts.left + 1
    node:close()
  end
  return place
end

local function replace(self, churn, node)
  local side, hostility = self.sides[node], self.hostiles[node]
  local newcomer = self:open_at(end_session(self, churn, node))
  self:put_on_side(newcomer, side)
  self:inherit_hostility(newcomer, hostility)
  begin_session(self, churn, newcomer)
  start_join(self, newcomer)
end

local function take_offline(self, churn, node)
  local memory = self:remember(node)
  end_session(self, churn, node)
  self:take_out(node)
  churn.queue:add(self:now() + churn.return_after, memory)
end

local function bring_back(self, churn, memory)
  local node = self:open_again(memory)
  begin_session(self, churn, node)
  task.spawn(self.network, function()
    self:join_again(node)
    self.counts.joined = self.counts.joined + 1
  end)
end

-- Handles an item of the queue: a node whose session ends, unless the node was
-- ended otherwise, or the memory of a node that returns.
local function handle_event(self, churn, item)
  if not node_module.is(item) then
    bring_back(self, churn, item)
  elseif not item:is_open() or not self:place_of(item) then
    return
  elseif churn.return_after then
    take_offline(self, churn, item)
  else
    replace(self, churn, item)
  end
end

local function handle_due_events(self, churn)
  churn.timer = nil
  local now = self:now()
  while (churn.queue:next_time() or math.huge) <= now do
    handle_event(self, churn, (churn.queue:pop()))
  end
  schedule(self, churn)
end

-- Returns the nodes that never leave, as keys.
local function find_staying(self, stay)
  local staying = {}
  if type(stay) == "number" then
    stay = table.move(self.nodes, 1, stay, 1, {})
  end
  for _, node in ipairs(stay or {}) do
    staying[node] = true
  end
  return staying
end

-- Draws the rest of a session for each open node that may leave.
local function draw_remaining_sessions(self, churn, staying)
  for _, node in ipairs(self.nodes) do
    if not staying[node] then
      local u = random.uniform(self.network)
      local v = random.uniform(self.network)
      churn.queue:add(self:now() + churn.sessions:remaining(u, v), node)
    end
  end
end

-- Stops churn. Nodes that are offline do not return.
local function stop(self)
  local churn = self.churning
  if churn and churn.timer then
    self.network:stop_timer(churn.timer)
  end
  self.churning = nil
end

--- Starts churn: from now on, the open nodes and those that replace them come
--- and go. Nodes that join otherwise stay. false stops churn. An error in it,
--- such as a policy that cannot be loaded, is raised by the call that runs the
--- network.
---@param given kadenza.ChurnOptions|false
function Sim:churn(given)
  if given ~= false then
    M.check(given, 2)
  end
  stop(self)
  if not given then
    return
  end
  local churn = {
    queue = timer_queue.new(),
    sessions = sessions.new(given),
    crash = given.crash or OPTIONS.crash.default,
    return_after = given.return_after,
  }
  function churn.on_timer()
    handle_due_events(self, churn)
  end
  self.churning = churn
  draw_remaining_sessions(self, churn, find_staying(self, given.stay))
  schedule(self, churn)
end

M.methods = Sim

return M

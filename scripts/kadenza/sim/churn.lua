--- Churn: nodes that stay for a while and are replaced, or come back later.
--- `kadenza.sim` makes these functions methods of its networks.

local agenda = require("kadenza.sim.agenda")
local chance = require("kadenza.sim.chance")
local check = require("kadenza.check")
local node_module = require("kadenza.node")
local sessions = require("kadenza.sim.sessions")
local task = require("kadenza.task")

--- How nodes come and go. The length of their sessions is drawn; those that are
--- there already are met in the midst of one.
---@class kadenza.ChurnOptions
---@field session? string  `exponential` (the default), `weibull`, `pareto`,
---  `measured` (half stay 2 hours at most, four fifths 8) or `fixed`
---@field median? number  seconds; `measured` has 7200
---@field shape? number  of `weibull` (0.6) and `pareto` (3)
---@field crash? number  share that ends without a word, 0.5; others close
---@field return_after? number  seconds until the same node comes back, with its
---  id, address and contacts; without it a new node takes its place at once
---@field stay? integer|kadenza.Node[]  those that never go, or how many of the
---  first in `nodes`

---@class kadenza.Sim
local Sim = {}

local M = {}

local OPTIONS <const> = {
  session = "string",
  median = "number",
  shape = "number",
  crash = "number",
  return_after = "number",
  stay = {
    is = function(value)
      return math.type(value) == "integer" or type(value) == "table"
    end,
    name = "an integer or a list of nodes",
  },
}

local CRASH <const> = 0.5

--- Raises unless the options are those of churn.
---@param given any
---@param level integer  whom to blame, as of `error`
function M.check(given, level)
  if type(given) ~= "table" then
    error("churn must be a table, not " .. type(given), level + 1)
  end
  check.options(given, level + 1, OPTIONS)
  sessions.check(given, level + 1)
  local crash, away = given.crash or CRASH, given.return_after or 0
  if not (crash >= 0 and crash <= 1) then
    error("option 'crash' must be in 0 to 1", level + 1)
  elseif not (away >= 0 and away <= 1e9) then
    error("option 'return_after' must be in 0 to 1e9 seconds", level + 1)
  end
end

-- Has the churn go on when the next node is due.
local function plan(self, churn)
  local time = churn.agenda:next_time()
  if churn.timer then
    self.network:stop_timer(churn.timer)
  end
  local wait = time and math.max(time - self:now(), 0)
  churn.timer = wait and self.network:start_timer(math.ceil(wait * 1000),
    churn.wake)
end

local function begin_session(self, churn, node)
  local length = churn.sessions:length(chance.uniform(self.network))
  churn.agenda:add(self:now() + length, node)
end

local function let_join(self, node)
  task.spawn(self.network, function()
    if self:let_join(node) then
      self.counts.joined = self.counts.joined + 1
    end
  end)
end

-- Ends a session; returns the place in `nodes` that is free now.
local function end_session(self, churn, node)
  local place = self:place_of(node)
  if chance.uniform(self.network) < churn.crash then
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
  let_join(self, newcomer)
end

local function send_away(self, churn, node)
  local memory = self:remember(node)
  end_session(self, churn, node)
  self:take_out(node)
  churn.agenda:add(self:now() + churn.return_after, memory)
end

local function come_back(self, churn, memory)
  local node = self:open_again(memory)
  begin_session(self, churn, node)
  task.spawn(self.network, function()
    self:join_again(node)
    self.counts.joined = self.counts.joined + 1
  end)
end

-- Does what is due of one node, if nobody else has ended it.
local function turn(self, churn, thing)
  if not node_module.is(thing) then
    come_back(self, churn, thing)
  elseif not thing:is_open() or not self:place_of(thing) then
    return
  elseif churn.return_after then
    send_away(self, churn, thing)
  else
    replace(self, churn, thing)
  end
end

local function go_on(self, churn)
  churn.timer = nil
  local now = self:now()
  while (churn.agenda:next_time() or math.huge) <= now do
    turn(self, churn, (churn.agenda:take()))
  end
  plan(self, churn)
end

-- Returns the nodes that never go, as keys.
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

-- All nodes that do not stay have sessions, in whose midst they are.
local function enlist(self, churn, staying)
  for _, node in ipairs(self.nodes) do
    if not staying[node] then
      local u = chance.uniform(self.network)
      local v = chance.uniform(self.network)
      churn.agenda:add(self:now() + churn.sessions:remaining(u, v), node)
    end
  end
end

-- Ends the churn that there is: who is away stays away.
local function stop(self)
  local churn = self.churning
  if churn and churn.timer then
    self.network:stop_timer(churn.timer)
  end
  self.churning = nil
end

--- From now on, the nodes there are, and those that take their places, come and
--- go; false ends that. Nodes that join otherwise stay. An error in it, such as
--- a policy that cannot be loaded, is raised by what runs the network.
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
    agenda = agenda.new(),
    sessions = sessions.new(given),
    crash = given.crash or CRASH,
    return_after = given.return_after,
  }
  function churn.wake()
    go_on(self, churn)
  end
  self.churning = churn
  enlist(self, churn, find_staying(self, given.stay))
  plan(self, churn)
end

M.methods = Sim

return M

--- A crawl: walks an overlay and collects the info hashes under which its nodes
--- hold peers, with `sample_infohashes` (BEP 51).
--
--     local crawl = require("kadenza.crawl")
--     local net <close> = kad.sim({ nodes = 30 })
--     net:perform(function()
--       assert(net.nodes[1]:announce(kad.key("torrent"), 6881))
--       local walk = assert(crawl.new(net.nodes[9], {
--         on_infohash = function(infohash, contact)
--           print(kad.hex(infohash), contact.address)
--         end,
--       }))
--       local summary = assert(walk:run())
--       print(summary.nodes, summary.infohashes, summary.ended)
--     end)
--
-- It begins with the contacts of a node that has joined, and goes on with those
-- that the nodes name; each node is asked once, for a target near its id. IPv4
-- and IPv6 are walked side by side, if the node has sockets of both.
--
-- It is polite: at most `rate` queries a second, and one in flight for each
-- subnet (/24, /64). The node's own pace applies as well.
--
-- What others say is not trusted. A node is asked at its address, whatever id
-- it is said to have, and known by its address alone. Of a subnet `max_subnet`
-- nodes are followed, of all `max_nodes`; the crawl knows `max_infohashes` info
-- hashes. Beyond these limits nodes are counted and not asked, and new info
-- hashes are counted and not reported.

local check = require("kadenza.check")
local clock = require("kadenza.clock")
local frontier = require("kadenza.crawl.frontier")
local node_module = require("kadenza.node")
local saved = require("kadenza.crawl.saved")
local target = require("kadenza.crawl.target")
local task = require("kadenza.task")

local M = {}

local MAX_OPEN <const> = 64 -- queries in flight
local PAUSE_SECONDS <const> = 60 -- longest time between two checks
local BUSY_SECONDS <const> = 1 -- until it asks again if the node is busy
local SLACK_SECONDS <const> = 0.002 -- a timer may be late by this

-- Seconds until a later run asks a node again that is silent, or gives no
-- samples.
local SILENT_SECONDS <const> = 3600
local PLAIN_SECONDS <const> = saved.MAX_REST

-- A node that says it holds more info hashes is not believed.
local MAX_NUM <const> = 1000000

---@class kadenza.CrawlOptions
---@field rate? integer  queries a second, 1 to 1000; 20 without it
---@field total? integer  end when so many info hashes were reported by this
---  run; with `count`, so many nodes
---@field count? "infohashes"|"nodes"  what `total` counts
---@field seconds? number  end after this time
---@field state? string  path of a file that keeps what the crawl knows, for a
---  later run
---@field save_seconds? number  between two saves; 60 without it
---@field max_nodes? integer  that are followed, 200000 without it
---@field max_subnet? integer  nodes of one /24 or /64, 64 without it
---@field max_infohashes? integer  that are known, 1000000 without it
---@field on_infohash? fun(infohash: string, contact: kadenza.Contact)  is
---  called for each new info hash
---@field on_node? fun(report: kadenza.CrawlReport)  is called for each node
---  that has answered

--- What a node has answered.
---@class kadenza.CrawlReport
---@field address string
---@field id string
---@field samples? string[]  info hashes; nil: it gives no samples
---@field new integer  those that the crawl did not know
---@field num? integer  info hashes that it holds, as it says
---@field interval? integer  seconds until it gives other samples

--- What a crawl has found, with its earlier runs.
---@class kadenza.CrawlSummary
---@field nodes integer  that were named, each address once
---@field supporting integer  nodes that give samples
---@field plain integer  nodes that answer without samples
---@field silent integer  nodes that do not answer
---@field waiting integer  nodes that were not asked, or whose answer is open
---@field infohashes integer  that are known
---@field num integer  sum of what the nodes say they hold: an info hash counts
---  once for each of its holders
---@field doubtful integer  nodes of this run whose number was not believed
---@field crowded integer  times that a node was not followed, because its
---  subnet is full
---@field left_out integer  times that a node was not followed: `max_nodes`
---@field unreachable integer  times that an address was of no use: a martian,
---  or of a family without a socket
---@field dropped integer  info hashes that were not reported: `max_infohashes`
---@field queries integer
---@field seconds number
---@field ended? string  why it has ended: "walked", "total", "seconds",
---  "closed", or what `stop` was given

---@class kadenza.Crawl
---@field private node kadenza.Node
local Crawl = {}
Crawl.__index = Crawl
Crawl.__name = "kadenza.Crawl"

local OPTIONS <const> = {
  rate = { default = 20, kind = "integer", from = 1, to = 1000 },
  total = { kind = "integer", from = 1, to = math.maxinteger },
  count = { default = "infohashes", choices = { "infohashes", "nodes" } },
  seconds = { kind = "number", from = 0, to = 1e8 },
  state = { kind = "string" },
  save_seconds = { default = 60, kind = "number", from = 0.1, to = 1e6 },
  max_nodes = { default = 200000, kind = "integer", from = 1, to = 1000000 },
  max_subnet = { default = 64, kind = "integer", from = 1, to = 1000000 },
  max_infohashes = { default = 1000000, kind = "integer", from = 1,
    to = 3000000 },
  on_infohash = "function",
  on_node = "function",
}

--- The rules of the options, for programs that have them as their own.
---@type table<string, kadenza.OptionRule>
M.OPTIONS = OPTIONS

--------------------------------------------------------------- contacts --

-- Adds a contact that was named, unless it is of no use.
local function add_contact(self, contact)
  local counts, core_node = self.counts, self.node.core
  if contact.id == self.node:id() or self.frontier.by_address[contact.address]
  then
    return
  elseif not core_node:check_address(contact.address) then
    counts.unreachable = counts.unreachable + 1
    return
  end
  local _, reason = self.frontier:add(contact.address, contact.id)
  if reason == "full" then
    counts.left_out = counts.left_out + 1
  elseif reason == "crowded" then
    counts.crowded = counts.crowded + 1
  end
end

local function add_contacts(self, contacts)
  for _, contact in ipairs(contacts) do
    add_contact(self, contact)
  end
end

------------------------------------------------------------ info hashes --

-- Notes an info hash. Returns whether it is a new one that is reported.
local function note_infohash(self, infohash)
  if self.known[infohash] then
    return false
  elseif #self.infohashes >= self.options.max_infohashes then
    self.counts.dropped = self.counts.dropped + 1
    return false
  end
  self.known[infohash] = true
  self.infohashes[#self.infohashes + 1] = infohash
  return true
end

-- Counts towards `total`.
local function count(self, what)
  local options = self.options
  if options.count ~= what then
    return
  end
  self.counted = self.counted + 1
  if self.counted == options.total then
    self:stop("total")
  end
end

-- Notes the info hashes of a sample; reports those that are new. Returns their
-- number.
local function add_samples(self, samples, contact)
  local new = 0
  for _, infohash in ipairs(samples) do
    if self.ended then
      break
    elseif note_infohash(self, infohash) then
      new = new + 1
      if self.options.on_infohash then
        self.options.on_infohash(infohash, contact)
      end
      count(self, "infohashes")
    end
  end
  return new
end

----------------------------------------------------------------- answers --

-- Returns the number of info hashes of a node that is believed.
local function believed_num(self, info, samples)
  local num = math.max(info.num or 0, #samples)
  if num > MAX_NUM then
    self.counts.doubtful = self.counts.doubtful + 1
    return #samples
  end
  return num
end

local function report(self, entry, info, samples, new)
  if self.options.on_node then
    self.options.on_node({ address = entry.address, id = entry.id,
      samples = samples, new = new, num = samples and info.num,
      interval = samples and info.interval })
  end
  count(self, "nodes")
end

-- Handles a reply. Without samples it is one to a query for contacts only.
local function handle_reply(self, entry, info, samples)
  local now = self.network:now()
  entry.id = info.from and info.from.id or entry.id
  if samples then
    self.frontier:finish(entry, "sampled", now + info.interval,
      believed_num(self, info, samples))
  else
    self.frontier:finish(entry, "plain", now + PLAIN_SECONDS, 0)
  end
  add_contacts(self, info.contacts)
  local new = samples and add_samples(self, samples,
    { address = entry.address, id = entry.id }) or 0
  report(self, entry, info, samples, new)
end

-- Codes of a node that answers, but not with what was asked for.
local OTHER_ANSWER <const> = { KAD_EREMOTE = true, KAD_EMALFORMED = true }

local function handle_failure(self, entry, code)
  local now = self.network:now()
  if code == "KAD_EBUSY" or code == "KAD_ENOMEM" then
    self.frontier:put_back(entry)
    self.next_at = math.max(self.next_at, now + BUSY_SECONDS)
  elseif code == "KAD_ECLOSED" then
    self:stop("closed")
  elseif not OTHER_ANSWER[code] then
    self.frontier:finish(entry, "silent", now + SILENT_SECONDS)
  elseif entry.is_plain then
    self.frontier:finish(entry, "plain", now + PLAIN_SECONDS, 0)
  else
    entry.is_plain = true
    self.frontier:put_back(entry)
  end
end

-- Asks a node, and handles its answer.
local function ask(self, entry)
  local node = self.node
  local near = self.targets:near(entry)
  local got, info, code
  if entry.is_plain then
    got, info, code = node:neighbours(entry.address, near)
  else
    got, info, code = node:sample(entry.address, near)
  end
  self.jobs[entry] = nil
  if self.ended then
    return
  elseif got then
    handle_reply(self, entry, info, not entry.is_plain and got or nil)
  else
    handle_failure(self, entry, code)
  end
end

-------------------------------------------------------------------- loop --

local function wake(self)
  local resume = self.resume
  if resume then
    self.resume = nil
    resume()
  end
end

-- Starts the query to the next node. An error of a callback ends the crawl.
local function start_query(self)
  local now = self.network:now()
  local entry = self.frontier:take()
  self.next_at = math.max(self.next_at, now - SLACK_SECONDS)
    + 1 / self.options.rate
  self.queries = self.queries + 1
  self.jobs[entry] = true
  local job = task.spawn(self.network, function()
    local fine, err = xpcall(ask, debug.traceback, self, entry)
    if not fine then
      self.failure = self.failure or { err }
      self:stop("failed")
    end
    wake(self)
  end)
  if self.jobs[entry] then
    self.jobs[entry] = job
  end
end

-- Waits until something has changed, for at most `seconds`.
local function pause(self, seconds)
  local timer
  task.wait(function(resume)
    self.resume = resume
    timer = self.network:start_timer(math.ceil(seconds * 1000), resume)
    return function()
      self.network:stop_timer(timer)
    end
  end)
  self.resume = nil
  self.network:stop_timer(timer)
end

-- Returns how long the loop may wait; 0: a query can be sent.
local function time_to_wait(self)
  local now, seconds = self.network:now(), PAUSE_SECONDS
  if self.frontier:is_ready() and self.frontier.open < MAX_OPEN then
    seconds = math.max(self.next_at - now, 0)
  end
  if self.deadline then
    seconds = math.min(seconds, math.max(self.deadline - now, 0))
  end
  return math.min(seconds, math.max(self.save_at - now, 0))
end

-- Ends the crawl if there is nothing left to do, or its time is over.
local function check_end(self)
  local found = self.frontier
  if self.deadline and self.network:now() >= self.deadline then
    self:stop("seconds")
  elseif found.waiting == 0 and found.open == 0 then
    self:stop("walked")
  end
end

-- Does the next thing. Returns nil, a message and a code if that fails.
local function step(self)
  if self.network:now() >= self.save_at then
    return self:save()
  end
  local seconds = time_to_wait(self)
  if seconds > 0 then
    pause(self, seconds)
  else
    start_query(self)
  end
  return true
end

local function cancel_queries(self)
  for _, job in pairs(self.jobs) do
    job:cancel()
  end
  self.jobs = {}
end

-- Saves a last time, and returns the summary or what went wrong.
local function finish(self)
  cancel_queries(self)
  self.took = self.took + self.network:now() - self.began
  self.began = nil
  local done, message, code = self:save()
  if self.failure then
    error(self.failure[1], 0)
  elseif self.problem then
    return nil, table.unpack(self.problem)
  elseif not done then
    return nil, message, code
  end
  return self:summary()
end

-- Begins a run: the state file must be writable.
local function begin(self)
  self.began = self.network:now()
  self.next_at = self.began
  self.deadline = self.options.seconds and self.began + self.options.seconds
  self.targets = target.new(self.node)
  add_contacts(self, self.node:contacts())
  if #self.frontier.list == 0 then
    return nil, "the node has no contacts", "KAD_ENOCONTACTS"
  end
  return self:save()
end

--- Walks the overlay, once. Returns the summary when the crawl has ended, or a
--- failure to write the state file. Raises an error of `on_infohash` or
--- `on_node`.
---@async
---@return kadenza.CrawlSummary? summary
---@return string? message
---@return kadenza.Code? code
function Crawl:run()
  check.open(self.node, 2)
  if self.has_run then
    error("a crawl runs once: make another one", 2)
  end
  self.has_run = true
  local begun, message, code = begin(self)
  if not begun then
    return nil, message, code
  end
  local _ <close> = setmetatable({}, { __close = function()
    cancel_queries(self)
  end })
  while not self.ended do
    check_end(self)
    if not self.ended then
      local done, problem, kind = step(self)
      if not done then
        self.problem = { problem, kind }
        self:stop("failed")
      end
    end
  end
  return finish(self)
end

--- Ends the run. What it knows is saved.
---@param why? string  `ended` of the summary; "stopped" without it
function Crawl:stop(why)
  self.ended = self.ended or why or "stopped"
  wake(self)
end

----------------------------------------------------------------- summary --

-- Returns the seconds of all runs so far.
local function total_seconds(self)
  return self.took + (self.began and self.network:now() - self.began or 0)
end

--- Returns what has been found so far.
---@return kadenza.CrawlSummary summary
function Crawl:summary()
  local found = self.frontier
  local summary = {
    nodes = #found.list,
    supporting = found.kinds.sampled,
    plain = found.kinds.plain,
    silent = found.kinds.silent,
    waiting = found.waiting + found.open,
    infohashes = #self.infohashes,
    num = found.num,
    queries = self.queries,
    seconds = total_seconds(self),
    ended = self.ended,
  }
  for name, number in pairs(self.counts) do
    summary[name] = number
  end
  return summary
end

------------------------------------------------------------------- state --

-- Returns what the file keeps.
local function to_saved(self)
  local now, nodes = self.network:now(), {}
  for i, entry in ipairs(self.frontier.list) do
    nodes[i] = { address = entry.address, id = entry.id, kind = entry.kind,
      rest = entry.is_open and 0 or entry.due - now, num = entry.num }
  end
  return { nodes = nodes, infohashes = self.infohashes,
    queries = self.queries, seconds = total_seconds(self) }
end

--- Saves the state to its file. Without one, does nothing.
---@return true? saved
---@return string? message
---@return kadenza.Code? code
function Crawl:save()
  self.save_at = self.network:now() + self.options.save_seconds
  if not self.options.state then
    return true
  end
  return saved.write(self.options.state, to_saved(self), self.bits,
    clock.read(self.network))
end

-- Takes over what an earlier run has saved. Nodes whose interval has passed
-- wait for a query.
local function restore(self, state)
  local now = self.network:now()
  for _, node in ipairs(state.nodes) do
    local due = node.rest > 0 and now + node.rest or nil
    local entry = self.frontier:add(node.address, node.id, due)
    if entry then
      self.frontier:describe(entry, node.kind, node.num)
    end
  end
  for _, infohash in ipairs(state.infohashes) do
    note_infohash(self, infohash)
  end
  self.queries, self.took = state.queries, state.seconds
end

--- Makes a crawl through a node that has joined. With `state`, it knows what
--- the file has: nodes are not asked again before their interval has passed.
---@param node kadenza.Node
---@param options? kadenza.CrawlOptions
---@return kadenza.Crawl? crawl
---@return string? message  the file cannot be read, or is not that of a crawl
---@return kadenza.Code? code
function M.new(node, options)
  if not node_module.is(node) then
    error("a crawl needs a node, not " .. type(node), 2)
  end
  check.open(node, 2)
  options = check.with_defaults(options, 2, OPTIONS)
  local self = setmetatable({
    node = node,
    network = node:network(),
    bits = node:id_bits(),
    options = options,
    frontier = frontier.new(options.max_nodes, options.max_subnet),
    known = {}, -- info hashes as keys
    infohashes = {}, -- the same as a list
    jobs = {}, -- entry → the task that asks it
    counts = { doubtful = 0, crowded = 0, left_out = 0, unreachable = 0,
      dropped = 0 },
    counted = 0,
    queries = 0,
    took = 0,
  }, Crawl)
  if options.state then
    local state, message, code =
      saved.read(options.state, self.bits, clock.read(self.network))
    if state == nil then
      return nil, message, code
    elseif state then
      restore(self, state)
    end
  end
  return self
end

return M

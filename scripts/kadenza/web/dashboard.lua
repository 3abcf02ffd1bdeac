--- The dashboard of a node: the page at `/`, and the data that it shows.
--
--   GET /                         the page, from the program
--   GET /v1/overview              the present: kadenza.web.overview
--   GET /v1/history?step=&since=  figures over time: kadenza.web.history
--   GET /v1/log?after=            the log, as server-sent events
--
-- The data names addresses of others and lines of the log. An address that is
-- not loopback serves it only with the bearer token; the page asks for it.

local core = require("kadenza.core")
local history = require("kadenza.web.history")
local host = require("kadenza.host")
local kad = require("kadenza")
local json = require("kadenza.json")
local log = require("kadenza.log")
local log_ring = require("kadenza.web.log_ring")
local overview = require("kadenza.web.overview")
local rates = require("kadenza.rates")
local response = require("kadenza.web.response")
local series = require("kadenza.web.series")
local talkers = require("kadenza.talkers")

local M = {}

--- Logs that are followed at a time.
M.MAX_FOLLOWERS = 8

-- Seconds between two signs of life of a log without lines.
local KEEP_ALIVE <const> = 15

-- Seconds for which a document of the present is kept.
local PRESENT_SECONDS <const> = 1

-- Seconds by which the clocks may differ: the wall clock has whole seconds.
local CLOCK_SLACK <const> = 5

local PRIVATE <const> = { auth = "read" }

-- The page runs the scripts and the style that are in it, by their hashes, and
-- may ask this node only. A page of another site cannot show it in a frame.
local POLICY <const> = "default-src 'none'; script-src %s; "
  .. "style-src %s; img-src data:; connect-src 'self'; "
  .. "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

---@class kadenza.web.Dashboard
---@field private running { node: kadenza.Node, settings: table }
---@field private started integer  seconds since 1970
---@field private boot string  tells this run of the node from others
---@field private rates kadenza.Rates
---@field private history kadenza.web.History
---@field private ring kadenza.web.LogRing
---@field private followers integer
---@field private page? table  the response with the page
---@field private present? string  document of the present, in JSON
---@field private present_at? number
local Dashboard = {}
Dashboard.__index = Dashboard

--------------------------------------------------------------------- page --

local function hash_of(text)
  return core.base64(require("kadenza.httpd").sha256(text))
end

-- Returns the hashes of the elements with a tag, as a policy names them.
local function hashes_of(page, tag)
  local hashes = {}
  for text in page:gmatch(("<%s>(.-)</%s>"):format(tag, tag)) do
    hashes[#hashes + 1] = ("'sha256-%s'"):format(hash_of(text))
  end
  return table.concat(hashes, " ")
end

--- Returns a page with the headers that keep it to itself.
---@param page string  HTML
---@return table response
function M.page_response(page)
  return { status = 200, body = page, headers = {
    ["Content-Type"] = "text/html; charset=utf-8",
    ["Content-Security-Policy"] = POLICY:format(hashes_of(page, "script"),
      hashes_of(page, "style")),
    ["Cache-Control"] = "no-cache",
    ["ETag"] = ('"%s"'):format(hash_of(page)),
    ["Referrer-Policy"] = "no-referrer",
  } }
end

-- Serves the page. It is kept for the next request, so that it is copied once.
local function serve_page(self, request)
  if not self.page then
    local page = host.source("web/page.html")
    if not page then
      return response.error(404, "not_found",
        "only the program kadenza has the page")
    end
    self.page = M.page_response(page)
  end
  if request.headers["if-none-match"] == self.page.headers.ETag then
    return { status = 304, headers = self.page.headers }
  end
  return self.page
end

--------------------------------------------------------------------- data --

-- Returns by how much the wall clock is ahead of the clock of the history. It
-- changes only when the wall clock is set: rows keep their times.
local function lead(self)
  local now = self.network:time() - self.network:now()
  if math.abs(now - self.lead) > CLOCK_SLACK then
    self.lead = now
  end
  return self.lead
end

-- Returns a response with a text of JSON.
local function json_of(text)
  return { status = 200, body = text,
    headers = { ["Content-Type"] = "application/json" } }
end

-- All who ask within a second get the same document.
local function serve_overview(self)
  local now = self.network:now()
  if not self.present or now - self.present_at >= PRESENT_SECONDS then
    self.present = json.encode(overview.of(self.running, self.rates,
      self.started))
    self.present_at = now
  end
  return json_of(self.present)
end

local function serve_history(self, request)
  local step = math.tointeger(tonumber(request.query.step or 5))
  local since = tonumber(request.query.since or 0)
  if not history.is_step(step) then
    return response.error(400, "bad_step", "step must be 5, 60 or 300")
  elseif not since or since ~= since then
    return response.error(400, "bad_since",
      "since must be a time in seconds since 1970")
  end
  return json_of(self.history:json(step, lead(self), since))
end

---------------------------------------------------------------------- log --

-- Returns a line as a server-sent event.
local function event_of(self, line)
  return ("id: %s-%d\ndata: %s\n\n"):format(self.boot, line.id,
    json.encode({ level = line.level, text = line.text }))
end

-- Returns the id of the line after which a reader continues; 0: it has none of
-- this run of the node.
local function line_before(self, request)
  local text = request.headers["last-event-id"] or request.query.after or ""
  local boot, id = text:match("^(%x+)%-(%d+)$")
  return boot == self.boot and math.tointeger(tonumber(id)) or 0
end

-- Writes lines to a client until it has left, or reads too slowly: then it asks
-- again, with the last line that it got.
---@async
local function follow(self, client, after)
  self.followers = self.followers + 1
  local is_behind = false
  local stop = self.ring:watch(function(line)
    is_behind = is_behind or not client:write(event_of(self, line))
  end)
  client:on_close(function()
    stop()
    self.followers = self.followers - 1
  end)
  for _, line in ipairs(self.ring:after(after)) do
    is_behind = is_behind or not client:write(event_of(self, line))
  end
  while not is_behind and client:write(": \n\n") do
    kad.sleep(KEEP_ALIVE)
  end
end

local function serve_log(self, request)
  if self.followers >= M.MAX_FOLLOWERS then
    return response.error(503, "too_many",
      ("%d others follow the log"):format(self.followers),
      { ["Retry-After"] = "10" })
  end
  local after = line_before(self, request)
  return { status = 200, headers = {
    ["Content-Type"] = "text/event-stream",
    ["Cache-Control"] = "no-store",
  }, stream = function(client)
    follow(self, client, after)
  end }
end

--------------------------------------------------------------- life --

-- Reads the figures, and again after a period, until the node is closed.
local function sample(self)
  local node, network = self.running.node, self.network
  self.timer = nil
  if not node:is_open() then
    return
  end
  self.history:add(network:now(), series.read(node))
  self.timer = network:start_timer(history.PERIOD * 1000, function()
    sample(self)
  end)
end

local function add_routes(self, server)
  server:route("GET", "/", function(request)
    return serve_page(self, request)
  end)
  server:route("GET", "/v1/overview", function()
    return serve_overview(self)
  end, PRIVATE)
  server:route("GET", "/v1/history", function(request)
    return serve_history(self, request)
  end, PRIVATE)
  server:route("GET", "/v1/log", function(request)
    return serve_log(self, request)
  end, PRIVATE)
end

--- Begins to keep the figures of a node and the lines of the log, and adds the
--- routes.
---@param server kadenza.web.Server
---@param running table  of `kadenza run`
---@return kadenza.web.Dashboard dashboard  to be closed
function M.add(server, running)
  local node = running.node
  local self = setmetatable({ running = running, network = node:network(),
    started = node:network():time(), boot = kad.hex(kad.random(8)),
    history = history.new(series.list()), ring = log_ring.new(),
    followers = 0, lead = 0 }, Dashboard)
  running.rates = running.rates or rates.watch(node) -- the console has it, too
  self.rates = running.rates
  talkers.count(node, true)
  self.stop_log = log.observe(function(event)
    self.ring:add(event, self.network:time())
  end)
  sample(self)
  add_routes(self, server)
  return self
end

--- Ends what `add` began.
function Dashboard:close()
  self.stop_log()
  if self.timer and self.network:is_open() then
    self.network:stop_timer(self.timer)
    self.timer = nil
  end
end

return M

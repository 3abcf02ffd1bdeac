--- Shows the progress of a simulation, a crawl or a dump as one line on a
--- terminal.
--- Tested by tests/spec/cli/sim_spec.lua, tests/spec/cli/crawl_spec.lua.

local core = require("kadenza.core")
local layout = require("kadenza.cli.layout")
local run_report = require("kadenza.sim.run_report")
local terminal = require("kadenza.cli.terminal")

local M = {}

local WIDTH <const> = 24 -- of the bar
local CLEAR <const> = "\r\27[K"
local COLUMNS <const> = 80 -- of a terminal that does not tell its size
local SECONDS <const> = 0.1 -- between two times that the line is drawn
local FIRST_SECONDS <const> = 1 -- before the speed of the run is known

-- The terminal behind standard error.
local ERRORS <const> = {
  columns = function()
    return terminal.columns(terminal.ERRORS)
  end,
  can_redraw = function()
    return terminal.can_redraw(terminal.ERRORS)
  end,
}

---@class kadenza.cli.Progress
---@field private began? number  processor time at the start of the run
---@field private shown boolean  the line is on the terminal
---@field private drawn? number  when it was drawn
local Progress = {}
Progress.__index = Progress

--- Makes a progress line; shows nothing.
---@param write fun(text: string)
---@param clock? fun(): number  seconds; default: processor time
---@param screen? { columns: (fun(): integer?), can_redraw: (fun(): boolean) }
---  default: 80 columns, always drawn
---@return kadenza.cli.Progress progress
function M.new(write, clock, screen)
  return setmetatable({ write = write, clock = clock or os.clock,
    screen = screen, shown = false }, Progress)
end

--- Makes a progress line on standard error, if that is a terminal.
---@param clock? fun(): number  as of `new`
---@return kadenza.cli.Progress? progress
function M.on_errors(clock)
  return core.is_terminal(terminal.ERRORS) and M.new(function(text)
    io.stderr:write(text)
  end, clock, ERRORS) or nil
end

local function bar(share)
  local full = math.floor(share * WIDTH + 0.5)
  return "[" .. ("#"):rep(full) .. ("."):rep(WIDTH - full) .. "]"
end

local function format_duration(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60,
      seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

-- Returns a speed with two digits that count, such as "1,200".
local function format_speed(times)
  if times < 10 then
    return ("%.1f"):format(times)
  end
  local digits = ("%.0f"):format(tonumber(("%.1e"):format(times)))
  return (digits:reverse():gsub("(%d%d%d)", "%1,"):reverse()
    :gsub("^,", ""))
end

local function joining_texts(net)
  local joins = net.joining
  local count = #net.nodes
  local joined = joins and count - joins.left or 0
  local text = ("joining, %d of %d nodes"):format(joined, count)
  return { bar(joined / math.max(count, 1)) .. " " .. text, text,
    ("%d/%d"):format(joined, count) }
end

local function running_texts(self, run)
  self.began = self.began or self.clock()
  local share = math.min(run:now() / math.max(run.seconds, 1e-9), 1)
  local taken = self.clock() - self.began
  local percent = ("%3.0f %%"):format(share * 100)
  local text = ("%s  %s of %s"):format(percent,
    run_report.duration(run:now()), run_report.duration(run.seconds))
  local texts = { bar(share) .. " " .. text, text, percent }
  if taken >= FIRST_SECONDS and share > 0 then
    local left = (", %s left"):format(format_duration(taken / share - taken))
    local speed = (", %s times real time"):format(
      format_speed(run:now() / taken))
    texts = { texts[1] .. speed .. left, texts[1] .. left, text .. left,
      percent .. left, percent }
  end
  return texts
end

local function crawl_texts(summary)
  local asked = summary.nodes - summary.waiting
  local nodes = ("%d of %d nodes"):format(asked, summary.nodes)
  local text = ("%s, %d info hashes"):format(nodes, summary.infohashes)
  local drawn = bar(asked / math.max(summary.nodes, 1))
  return { ("%s %s, %s"):format(drawn, text, format_duration(summary.seconds)),
    drawn .. " " .. text, text, nodes }
end

-- Draws the first of the texts that fits, in one line of the terminal. Draws
-- nothing in the background, where a prompt has the line. `make` returns the
-- texts.
local function draw(self, make)
  local now = self.clock()
  local is_early = self.drawn and now - self.drawn < SECONDS
  local screen = self.screen
  if is_early or screen and not screen.can_redraw() then
    return
  end
  local texts = make()
  self.shown, self.drawn = true, now
  -- The last column stays free: some terminals go to the next line behind it.
  local columns = (screen and screen.columns() or COLUMNS) - 1
  self.write(CLEAR .. layout.first_fit(texts, columns):sub(1, columns))
end

--- Shows the progress of a simulation.
---@param net kadenza.Sim
---@param run? kadenza.SimRun  nil while nodes join
function Progress:show(net, run)
  draw(self, function()
    return run and running_texts(self, run) or joining_texts(net)
  end)
end

--- Shows the progress of a crawl.
---@param summary kadenza.CrawlSummary
function Progress:show_crawl(summary)
  draw(self, function()
    return crawl_texts(summary)
  end)
end

--- Shows how many records of a dump are done.
---@param verb string  "dumped"
---@param count integer
---@param total? integer  of records
---@param share? number  0 to 1; default: that of `total`
function Progress:show_share(verb, count, total, share)
  draw(self, function()
    local text = ("%s %d%s records"):format(verb, count,
      total and (" of %d"):format(total) or "")
    share = share or total and count / math.max(total, 1)
    local drawn = share and bar(math.min(share, 1)) .. " " or ""
    return { drawn .. text, text, tostring(count) }
  end)
end

--- Removes the line.
function Progress:clear()
  if self.shown then
    self.shown = false
    local screen = self.screen
    self.write((not screen or screen.can_redraw()) and CLEAR or "\n")
  end
end

return M

--- kadenza crawl: walks an overlay and prints the info hashes of its nodes (BEP
--- 51).
--- Also tested by tests/spec/crawl_spec.lua.

local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local crawl = require("kadenza.crawl")
local kad = require("kadenza")
local output = require("kadenza.cli.output")
local progress = require("kadenza.cli.progress")
local schema = require("kadenza.cli.schema")
local terminal = require("kadenza.cli.terminal")

local M = {
  summary = "Walk an overlay and list its info hashes.",
  description = "Asks one node after the other, each once, for a sample of the "
    .. "info hashes under which it holds peers (BEP 51), and goes on with the "
    .. "nodes that it names. Prints each info hash once, one a line, and a "
    .. "summary on standard error. Ends when all nodes were asked; Ctrl-C ends "
    .. "it early.\n\nWith --state FILE a later run goes on: it asks no node "
    .. "before its interval has passed, and prints no info hash again. With "
    .. "--json it prints a document for each info hash (or node), and the "
    .. "summary as the last one.",
  usage = "",
  example = "crawl --bootstrap 192.0.2.1:6881 --state crawl.state",
  settings = client.SETTINGS,
}

local CHECK_SECONDS <const> = 1 -- between two checks of the reader
local DRAW_SECONDS <const> = 0.2 -- between two progress lines

local RULES <const> = crawl.OPTIONS

local function number(name, argname, text)
  local rule = RULES[name]
  return { name = name, kind = "number", flag = "--" .. name:gsub("_", "-"),
    min = rule.from, max = rule.to, default = rule.default, argname = argname,
    text = text }
end

-- Options of this command only.
local OPTIONS <const> = {
  number("rate", "N", "Queries a second, at most."),
  number("total", "N", "End when N info hashes, or nodes, were printed."),
  { name = "seconds", kind = "number", flag = "--seconds", min = 1,
    max = 31536000, argname = "SECONDS", text = "End after this time." },
  { name = "state", kind = "text", flag = "--state", argname = "FILE",
    check = "path",
    text = "File that keeps what the crawl knows between runs; made if "
      .. "missing." },
  { name = "nodes", kind = "switch", flag = "--nodes",
    text = "Print the nodes that answer, with the number of their info hashes, "
      .. "instead of info hashes." },
  number("max_nodes", "N", "Nodes that are followed; others are counted."),
  number("max_subnet", "N", "Nodes of one subnet (/24, IPv6 /64) that are "
    .. "followed."),
  number("max_infohashes", "N", "Info hashes that are known; others are "
    .. "counted and not printed."),
  { name = "quiet", kind = "switch", flag = "--quiet",
    text = "Show no progress." },
}

function M.arguments(command)
  return schema.add_options(command, OPTIONS)
end

------------------------------------------------------------------ output --

local function infohash_line(infohash)
  return kad.hex(infohash) .. "\n"
end

local function infohash_document(infohash, contact)
  return { infohash = kad.hex(infohash), id = kad.hex(contact.id),
    address = contact.address }
end

local function node_line(report)
  return ("%s %s %s\n"):format(kad.hex(report.id), report.address,
    report.num or "-")
end

local function node_document(report)
  local samples = {}
  for i, infohash in ipairs(report.samples or {}) do
    samples[i] = kad.hex(infohash)
  end
  return { id = kad.hex(report.id), address = report.address,
    num = report.num, interval = report.interval, new = report.new,
    samples = report.samples and output.array(samples) }
end

-- Returns a function that prints what the crawl has found. If the reader has
-- ended, it ends the crawl instead.
local function make_printer(run, to_line, to_document)
  return function(...)
    if not core.has_reader(terminal.OUTPUT) then
      run.walk:stop("reader")
      return
    end
    if run.line then
      run.line:clear()
    end
    if run.json then
      output.json(to_document(...))
    else
      output.write(to_line(...))
    end
    output.flush()
  end
end

-- What the limits have kept away, by the fields of the summary.
local LIMITS <const> = {
  { "left_out", "nodes not followed (--max-nodes)" },
  { "crowded", "nodes not followed (--max-subnet)" },
  { "dropped", "info hashes not printed (--max-infohashes)" },
  { "unreachable", "addresses of no use" },
  { "doubtful", "nodes whose number of info hashes is not believed" },
}

local function summary_text(summary)
  local lines = {
    ("%d nodes: %d give samples, %d answer without, %d are silent, %d were not "
      .. "asked"):format(summary.nodes, summary.supporting, summary.plain,
      summary.silent, summary.waiting),
    ("%d info hashes; the nodes say they hold %d, each counted once a holder")
      :format(summary.infohashes, summary.num),
  }
  for _, limit in ipairs(LIMITS) do
    local times = summary[limit[1]]
    lines[#lines + 1] = times > 0 and ("%d %s"):format(times, limit[2]) or nil
  end
  lines[#lines + 1] = ("%d queries in %d s; ended: %s"):format(summary.queries,
    math.floor(summary.seconds + 0.5), summary.ended)
  return table.concat(lines, "\n") .. "\n"
end

--------------------------------------------------------------------- run --

-- Calls `fn` every `seconds`.
local function every(seconds, fn)
  kad.spawn(function()
    while true do
      kad.sleep(seconds)
      fn()
    end
  end)
end

-- Makes signals and the end of the reader end the crawl, and shows its
-- progress.
local function accompany(run, network)
  local walk, line = run.walk, run.line
  for _, name in ipairs({ "SIGINT", "SIGTERM" }) do
    network:on_signal(name, function()
      walk:stop("signal")
    end)
  end
  every(CHECK_SECONDS, function()
    if not core.has_reader(terminal.OUTPUT) then
      walk:stop("reader")
    end
  end)
  if line then
    every(DRAW_SECONDS, function()
      line:show_crawl(walk:summary())
    end)
  end
end

-- Returns the options of the library.
local function crawl_options(options, run)
  local given = { count = options.nodes and "nodes" or nil }
  for name in pairs(RULES) do
    given[name] = given[name] or options[name]
  end
  if options.nodes then
    given.on_node = make_printer(run, node_line, node_document)
  else
    given.on_infohash = make_printer(run, infohash_line, infohash_document)
  end
  return given
end

-- Walks the overlay. Returns the summary.
local function walk_overlay(node, options, settings)
  local run = { json = settings.json }
  if not (options.quiet or settings.json) then
    run.line = progress.on_errors(kad.now)
  end
  run.walk = client.need(crawl.new(node, crawl_options(options, run)))
  accompany(run, node:network())
  local _ <close> = setmetatable({}, { __close = function()
    if run.line then
      run.line:clear()
    end
  end })
  return (client.need(run.walk:run()))
end

function M.run(args, settings)
  local options = config.read_own(OPTIONS, args)
  return client.join(settings, function(node)
    local summary = walk_overlay(node, options, settings)
    if summary.ended == "reader" then
      core.end_by_broken_pipe()
    elseif settings.json then
      summary.seconds = math.floor(summary.seconds * 1000 + 0.5) / 1000
      return summary
    end
    output.notice(summary_text(summary))
  end, { cache = false, repair = false })
end

return M

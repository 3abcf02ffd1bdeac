--- kadenza load: puts the records of a dump into a state folder.
--- Tested by tests/spec/cli/load_spec.lua.

local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local dump = require("kadenza.dump")
local fault = require("kadenza.cli.fault")
local line_reader = require("kadenza.line_reader")
local progress = require("kadenza.cli.progress")
local schema = require("kadenza.cli.schema")
local sorted = require("kadenza.sorted")
local state = require("kadenza.state")

local M = {
  summary = "Put the records of a dump into a node's state folder.",
  description = "Reads a dump of `kadenza dump` from FILE, or from "
    .. "standard input, and puts its records into the state folder DIR, "
    .. "which is made if it is missing. No node may use the folder. Each "
    .. "record is checked as if another node had sent it. What has "
    .. "expired is left out, and of two versions the newer one stays: to "
    .. "load a dump again changes nothing.\n\nThe exit status is 1 if a "
    .. "record was refused, or if the dump is not whole; the other "
    .. "records are loaded.",
  usage = "[FILE] --state DIR",
  example = "load records.jsonl --state var/node",
  settings = { flags = { "json" }, variables = { "json" } },
}

local OPTIONS <const> = {
  { name = "state", kind = "text", flag = "--state", argname = "DIR",
    check = "path", text = "The state folder of a node that does not run." },
  { name = "quiet", kind = "switch", flag = "--quiet",
    text = "Show no progress." },
}

function M.arguments(command)
  command:argument("file", "A dump. Default: standard input."):args("?")
  return schema.add_options(command, OPTIONS)
end

local COMMIT_EVERY <const> = 1024 -- records
local MAX_JOURNAL <const> = 16 << 20 -- bytes that may wait for the database
local WAIT_MS <const> = 20
local PATIENCE_MS <const> = 10000 -- with a disk that refuses to write

-- Calls `act(file, size)` with the dump. `size` is nil if it is not known.
local function with_file(path, act)
  if not path or path == "-" then
    return act(io.stdin)
  end
  local file <close>, message = io.open(path, "rb")
  if not file then
    fault.misuse("%s", message)
  end
  local size = file:seek("end")
  file:seek("set")
  return act(file, size)
end

-- Makes the folder, and locks it. Returns what unlocks it when it is closed.
local function open_folder(folder)
  local made, message, code = core.make_folder(folder, "private")
  if not made then
    fault.not_opened(message, code)
  end
  local lock, problem, kind = state.lock(folder)
  if not lock then
    fault.not_opened(problem, kind)
  end
  return setmetatable({}, { __close = function()
    lock:close()
  end })
end

-- Writes what was loaded to the journal, and lets the network move the journal
-- to the database. Waits while it is long, or while the disk refuses to write.
local function commit(loader, network)
  local pending, message, code = loader:commit()
  local waited = 0
  network:run(0)
  while not pending or pending > MAX_JOURNAL do
    if not pending and waited >= PATIENCE_MS then
      fault.failed(message, code)
    end
    network:run(WAIT_MS)
    waited = pending and 0 or waited + WAIT_MS
    pending, message, code = loader:commit()
  end
end

-- Loads the lines after the header. Returns a report.
local function load_records(folder, header, reader, lines, on_line)
  local _ <close> = open_folder(folder)
  local network <close> = assert(core.udp())
  local loader, message, code =
    core.open_loader(network, folder, header.id_bits)
  if not loader then
    fault.not_opened(message, code)
  end
  local committed = 0
  local report = dump.load(lines, os.time(), function(record)
    local is_formed, outcome, reason = pcall(loader.load, loader, record)
    return is_formed and outcome or nil, is_formed and reason or outcome
  end, function(report)
    if report.added % COMMIT_EVERY == 0 and report.added > committed then
      committed = report.added
      commit(loader, network)
    end
    on_line(report, reader)
  end)
  commit(loader, network)
  loader:close()
  return report
end

-- What else there is to say, by the fields of a report.
local PARTS <const> = {
  { "held", "were there already" },
  { "older", "are older than what is there" },
  { "expired", "have expired" },
  { "refused", "were refused" },
}

local function report_text(report)
  local parts = {}
  for _, part in ipairs(PARTS) do
    local count = report[part[1]]
    parts[#parts + 1] = count > 0 and ("%d %s"):format(count, part[2]) or nil
  end
  local lines = { ("loaded %d of %d records%s%s"):format(report.added,
    report.records, parts[1] and ": " or "", table.concat(parts, ", ")) }
  for _, reason in ipairs(sorted(report.reasons)) do
    lines[#lines + 1] =
      ("%d refused: %s"):format(report.reasons[reason], reason)
  end
  if report.first then
    lines[#lines + 1] = ("the first that was refused is line %d"):format(
      report.first.line)
  end
  if not report.is_whole then
    lines[#lines + 1] = "the dump is not whole: it has no last line, or that "
      .. "counts other records"
  end
  return table.concat(lines, "\n") .. "\n"
end

function M.run(args, settings)
  local options = config.read_own(OPTIONS, args)
  if not options.state then
    fault.misuse("--state DIR is needed: the state folder of the node")
  end
  return with_file(args.file, function(file, size)
    local bar = not options.quiet and not settings.json
      and progress.on_errors() or nil
    local _ <close> = setmetatable({}, { __close = function()
      if bar then
        bar:clear()
      end
    end })
    local reader = line_reader.new(file, dump.MAX_LINE)
    local lines = reader:lines()
    local header, problem = dump.parse_header(lines())
    if not header then
      fault.misuse("%s: %s", args.file or "standard input", problem)
    end
    local report = load_records(options.state, header, reader, lines,
      function(report)
        if bar then
          bar:show_share("loaded", report.records, nil,
            size and reader.bytes / size)
        end
      end)
    local failed = report.refused > 0 or not report.is_whole
    return report, report_text(report), failed and fault.FAILED or nil
  end)
end

return M

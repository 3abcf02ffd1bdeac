--- kadenza dump: writes the records of a state folder as JSON lines.
--- Tested by tests/spec/cli/load_spec.lua.

local config = require("kadenza.cli.config")
local core = require("kadenza.core")
local dump = require("kadenza.dump")
local fault = require("kadenza.cli.fault")
local output = require("kadenza.cli.output")
local progress = require("kadenza.cli.progress")
local schema = require("kadenza.cli.schema")

local M = {
  summary = "Write the records of a node as JSON lines.",
  description = "Writes the records in the state folder DIR to standard "
    .. "output, one JSON document a line, for `kadenza load` and for "
    .. "other programs. A node may use the folder meanwhile: the dump has "
    .. "what that node had acknowledged when the dump began. What has "
    .. "expired is left out.\n\nValues that are not UTF-8 are base64, "
    .. "under the name value_base64.",
  usage = "--state DIR",
  example = "dump --state var/node > records.jsonl",
  settings = { flags = {}, variables = {} },
}

local OPTIONS <const> = {
  { name = "state", kind = "text", flag = "--state", argname = "DIR",
    check = "path", text = "The state folder of the node." },
  { name = "quiet", kind = "switch", flag = "--quiet",
    text = "Show no progress." },
}

function M.arguments(command)
  return schema.add_options(command, OPTIONS)
end

-- Turns what a record has left into times.
local function set_times(record, now)
  record.stored_at = now - record.age
  if record.ttl then
    record.expires_at = now + record.ttl
  end
  if record.republish then
    record.republish_at = now + record.republish
  end
  return record
end

local function need(count, message, code)
  if not count then
    fault.failed(message, code)
  end
  return count, message
end

-- Writes all records. Returns their number.
local function write_records(folder, line, total)
  local now, written = os.time(), 0
  return need(core.read_records(folder, function(record)
    output.write(dump.line(set_times(record, now)))
    written = written + 1
    if line then
      line:show_share("dumped", written, total)
    end
  end))
end

function M.run(args)
  local options = config.read_own(OPTIONS, args)
  if not options.state then
    fault.misuse("--state DIR is needed: the state folder of the node")
  end
  local line = not options.quiet and progress.on_errors() or nil
  local total, bits = need(core.read_records(options.state))
  output.write(dump.header(bits, os.time()))
  local _ <close> = setmetatable({}, { __close = function()
    if line then
      line:clear()
    end
  end })
  output.write(dump.footer(write_records(options.state, line, total)))
end

return M

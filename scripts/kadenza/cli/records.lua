--- kadenza records: lists the records that a node that runs holds.
--- Tested by tests/spec/cli/listing_spec.lua.

local attach = require("kadenza.cli.attach")
local config = require("kadenza.cli.config")
local figures = require("kadenza.cli.figures")
local input = require("kadenza.cli.input")
local json = require("kadenza.json")
local kad = require("kadenza")
local listing = require("kadenza.console.listing")
local output = require("kadenza.cli.output")
local shown = require("kadenza.shown")

local M = {
  summary = "List the records that a node that runs holds.",
  description = "Prints a line for each record that the node holds for others"
    .. ": its key, its type, the size of its value, its age, the time that it "
    .. "has left, and its publisher if it is signed. With KEY, prints those "
    .. "under this key, with the start of their values. The order is any; what "
    .. "is stored or expires meanwhile may be missing.\n\nWith --json, prints "
    .. "a document a line, with all fields; values only with KEY.",
  usage = "[KEY]",
  example = "records --type peers --count 20 --state var/node",
  settings = attach.SETTINGS,
}

local PREVIEW <const> = 60 -- bytes of a value
local FORMAT <const> = "%s  %-9s  %8s  %10s  %10s  %s\n"

local OPTIONS <const> = {
  { name = "type", kind = "text", flag = "--type", argname = "TYPE",
    check = "type", text = "List only records of this type." },
  { name = "count", kind = "number", flag = "--count", argname = "N", min = 1,
    max = math.maxinteger, default = 100, text = "List up to N records." },
}

function M.arguments(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
    :args("?")
  return attach.arguments(command, OPTIONS)
end

local function time_of(seconds)
  return seconds and figures.span(seconds) or "-"
end

-- Returns the bytes of a value, which JSON has whole only in another field.
local function value_of(record)
  return record.value_hex and kad.unhex(record.value_hex) or record.value
end

local function line_of(record)
  local value = value_of(record)
  local rest = value and shown.line(value:sub(1, PREVIEW))
    .. (#value > PREVIEW and "…" or "") or record.publisher or "-"
  return FORMAT:format(record.key, shown.line(record.type),
    figures.bytes(record.size), time_of(record.age), time_of(record.ttl), rest)
end

-- Writes up to `count` records of a page: lines for people, or documents.
-- Returns how many.
local function write(page, count, settings)
  count = math.min(count, #page.records)
  for i = 1, count do
    local record = page.records[i]
    if settings.json then
      output.write(json.encode(record, listing.RECORD), "\n")
    else
      output.write(line_of(record))
    end
  end
  output.flush()
  return count
end

-- Writes the names of the columns.
local function write_head(page, has_values)
  local room = #page.records[1].key - #"key"
  output.write(FORMAT:format("key" .. (" "):rep(room), "type", "size", "age",
    "left", has_values and "value" or "publisher"))
end

-- Writes records, page by page. Returns how many, and whether there are more.
local function list(client, request, count, settings)
  local written, total = 0
  repeat
    output.check_reader()
    local page = attach.need(client:request("records", request))
    if written == 0 and page.records[1] and not settings.json then
      write_head(page, request.key)
    end
    written = written + write(page, count - written, settings)
    request.cursor, total = page.cursor, page.total
  until not request.cursor or written >= count
  return written, request.key and total > written
    or request.cursor ~= nil
end

function M.run(args, settings)
  local options = config.read_own(OPTIONS, args)
  local client <close> = attach.open(args, settings)
  -- With a type, few records of a page may be listed.
  local request = { type = options.type, count = options.type
    and listing.MAX_RECORDS or math.min(options.count, listing.MAX_RECORDS) }
  if args.key then
    local status = attach.need(client:request("status"))
    request.key = kad.hex(input.key(args.key, status.id_bits))
  end
  local written, has_more = list(client, request, options.count, settings)
  if written == 0 and not has_more and not settings.json then
    output.notice("kadenza: no records\n")
  elseif has_more and not settings.json then
    output.notice(("kadenza: there are more than these %d (--count N)\n")
      :format(written))
  end
end

return M

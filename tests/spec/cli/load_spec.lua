-- kadenza dump and kadenza load. Tests scripts/kadenza/cli/dump.lua.

local core = require("kadenza.core")
local dkjson = require("dkjson")
local dump = require("kadenza.dump")
local kad = require("kadenza")
local process = require("tests.spec.support.process")
local progress = require("kadenza.cli.progress")
local support = require("tests.spec.support")
local terminal = require("tests.spec.support.terminal")

local RECORDS <const> = 500

describe("kadenza load", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function state()
    return folder .. "/state"
  end

  local function record(number, more)
    local now = os.time()
    local made = { key = kad.key("key " .. number), type = "value",
      value = number % 2 == 0 and "value " .. number or "\0\255" .. number,
      stored_at = now - number, expires_at = now + 3600 + number,
      republish_at = now + 600, origin = "192.0.2.1:" .. 1 + number }
    for name, value in pairs(more or {}) do
      made[name] = value
    end
    return made
  end

  local function write(lines)
    local path = folder .. "/dump.jsonl"
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(table.concat(lines)))
    return path
  end

  -- Returns the lines of a dump of records 1 to `count`, with further lines.
  local function lines_of(count, more)
    local lines = { dump.header(160, os.time()) }
    for number = 1, count do
      lines[#lines + 1] = dump.line(record(number))
    end
    table.move(more or {}, 1, #(more or {}), #lines + 1, lines)
    lines[#lines + 1] = dump.footer(count + #(more or {}))
    return lines
  end

  local function load(path, ...)
    return process.run({ "load", path, "--state", state(), ... })
  end

  -- Returns the records of a dump by key, and its lines.
  local function dump_state()
    local done = process.run({ "dump", "--state", state() })
    assert.equal("", done.stderr)
    assert.equal(0, done.status)
    local found, count = {}, 0
    local header, footer
    for line in done.stdout:gmatch("[^\n]+") do
      local object = assert(dkjson.decode(line))
      if object.key then
        found[object.key] = assert(dump.parse(line))
        count = count + 1
      elseif object.kadenza == "dump" then
        header = object
      else
        footer = object
      end
    end
    assert.equal(1, header.version)
    assert.equal(count, footer.records)
    return found, count, done.stdout, header
  end

  it("puts the records of a dump into a new folder", function()
    local done = load(write(lines_of(RECORDS)))
    assert.equal("", done.stderr)
    assert.equal(("loaded %d of %d records\n"):format(RECORDS, RECORDS),
      done.stdout)
    assert.equal(0, done.status)
    local found, count = dump_state()
    assert.equal(RECORDS, count)
    for number = 1, RECORDS do
      local before = record(number)
      local after = assert(found[kad.hex(before.key)])
      assert.equal(before.value, after.value)
      assert.equal(before.origin, after.origin)
      for _, name in ipairs({ "stored_at", "expires_at", "republish_at" }) do
        assert.near(before[name], after[name], 30)
      end
    end
  end)

  it("of the same dump again changes nothing", function()
    local path = write(lines_of(20))
    assert.equal(0, load(path).status)
    local done = load(path)
    assert.equal("loaded 0 of 20 records: 20 were there already\n",
      done.stdout)
    assert.equal(0, done.status)
    assert.equal(20, (select(2, dump_state())))
  end)

  it("of what dump writes gives the same records", function()
    assert.equal(0, load(write(lines_of(50))).status)
    local first, _, text = dump_state()
    assert(os.execute(("rm -rf '%s'"):format(state())))
    assert.equal(0, load(write({ text })).status)
    local second, count = dump_state()
    assert.equal(50, count)
    for key, before in pairs(first) do
      assert.equal(before.value, second[key].value)
      assert.near(before.expires_at, second[key].expires_at, 30)
    end
  end)

  it("reads standard input", function()
    local done = process.run({ "load", "--state", state() },
      { stdin = table.concat(lines_of(3)) })
    assert.equal("loaded 3 of 3 records\n", done.stdout)
  end)

  it("keeps ids of 256 bits", function()
    local made = record(1, { key = core.key("a", 256) })
    assert.equal(0, load(write({ dump.header(256, os.time()), dump.line(made),
      dump.footer(1) })).status)
    local _, count, _, header = dump_state()
    assert.equal(1, count)
    assert.equal(256, header.id_bits)
    local done = load(write(lines_of(1)))
    assert.not_equal(0, done.status)
    assert.matches("256", done.stderr, 1, true)
  end)

  it("says which records it refuses, and loads the others", function()
    local done = load(write(lines_of(3, {
      "nonsense\n", "{}\n", ("x"):rep(20000) .. "\n",
      dump.line(record(9, { key = "short" })),
      dump.line(record(9, { value = ("v"):rep(8193) })),
      dump.line(record(9, { type = "peers", value = "short" })),
      dump.line(record(9, { publisher = ("p"):rep(32),
        signature = ("s"):rep(64) })),
      dump.line(record(9, { stored_at = 5, expires_at = 6 })),
    })))
    assert.equal(1, done.status)
    assert.equal([[
loaded 3 of 11 records: 1 have expired, 7 were refused
1 refused: bad signature
1 refused: field 'key' must have 20 bytes, not 5
1 refused: field 'value' must have 0 to 8192 bytes, not 8193
1 refused: key is missing
1 refused: malformed peer
1 refused: not a JSON object
1 refused: the line is too long
the first that was refused is line 5
]], done.stdout)
    assert.equal(3, (select(2, dump_state())))
  end)

  it("gives its report as JSON", function()
    local done = load(write(lines_of(2, { "nonsense\n" })), "--json")
    assert.equal(1, done.status)
    local report = assert(dkjson.decode(done.stdout))
    assert.equal(2, report.added)
    assert.equal(1, report.refused)
    assert.equal(1, report.reasons["not a JSON object"])
    assert.equal(4, report.first.line)
    assert.is_true(report.is_whole)
  end)

  it("tells that a dump was cut", function()
    local lines = lines_of(3)
    table.remove(lines)
    local done = load(write(lines))
    assert.equal(1, done.status)
    assert.matches("loaded 3 of 3 records\nthe dump is not whole", done.stdout,
      1, true)
  end)

  it("refuses other files, newer dumps, and calls without a folder", function()
    local done = load(write({ "text\n" }))
    assert.equal(2, done.status)
    assert.matches("dump.jsonl: not a dump of kadenza", done.stderr, 1, true)
    assert.is_false(core.exists(state()))
    done = load(write({ '{"kadenza":"dump","version":2,"id_bits":160}\n' }))
    assert.matches("a dump of version 2: use a newer kadenza", done.stderr, 1,
      true)
    done = load(folder .. "/none")
    assert.equal(2, done.status)
    assert.matches("No such file", done.stderr, 1, true)
    done = load(folder)
    assert.not_equal(0, done.status)
    done = process.run({ "load", write(lines_of(1)) })
    assert.equal(2, done.status)
    assert.matches("--state DIR is needed", done.stderr, 1, true)
    done = process.run({ "dump" })
    assert.equal(2, done.status)
    done = process.run({ "dump", "--state", folder .. "/none" })
    assert.equal(1, done.status)
    assert.matches("none", done.stderr, 1, true)
  end)

  it("does not load while a node uses the folder", function()
    local node = process.start({ "run", "--listen", "127.0.0.1:0",
      "--allow-local", "--state", state() })
    node:wait_for("listening on", "stdout")
    local done = load(write(lines_of(1)))
    assert.equal(1, done.status)
    assert.matches("uses this folder: stop it", done.stderr, 1, true)
    node:kill("sigterm")
    assert.equal(0, node:wait())
    assert.equal(0, load(write(lines_of(1))).status)
  end)

  it("shows its progress on a terminal", function()
    local screen = terminal.run({ "load", write(lines_of(RECORDS)), "--state",
      state() })
    assert.matches("loaded %d+ records", screen.stdout)
    screen = terminal.run({ "dump", "--state", state() })
    assert.matches("dumped %d+ of 500 records", screen.stdout)
  end)

  it("draws a bar", function()
    local text = ""
    local line = progress.new(function(more)
      text = text .. more
    end, function()
      return 5
    end)
    line:show_share("dumped", 50, 200)
    assert.matches("[######..................] dumped 50 of 200 records", text,
      1, true)
  end)
end)

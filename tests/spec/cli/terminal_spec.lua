-- What commands show on a terminal, in the background and in a pipe: tests also
-- scripts/kadenza/cli/output.lua and scripts/kadenza/cli/progress.lua.

local core = require("kadenza.core")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")
local terminal = require("tests.spec.support.terminal")

local RUN <const> = { "run", "--listen", "127.0.0.1:0", "--allow-local" }
local CHECK <const> = { "check", "scripts/policies/chat.lua", "--seconds",
  "10" }
local SIM <const> = { "sim", "steady", "--nodes", "40", "--hours", "0.3" }
local COMMANDS <const> = { RUN, CHECK, SIM, { "--help" }, { "run", "--help" },
  { "get", "x" }, { "sim", "--list" }, { "nothing" }, { "id", "--json" } }

-- Commands of which only `run` does not end by itself.
local function run(args, options)
  options.seconds = args == RUN and 0.7 or nil
  return terminal.run(args, options)
end

local function has_controls(text)
  return text:find("[\0-\8\11\12\14-\31\127]") ~= nil
end

describe("on a terminal", function()
  after_each(process.end_all)

  for _, columns in ipairs({ 40, 80, 200 }) do
    it("no line is broken in a word: " .. columns .. " columns", function()
      for _, args in ipairs(COMMANDS) do
        local done = run(args, { columns = columns })
        local text = done.stdout:gsub("\r\27%[K[^\r\n]*", "")
        for _, line in ipairs(terminal.lines(text)) do
          local is_long = core.text_width(line) > columns
          local is_word = not line:find("%S%s+%S")
          -- A log line is for programs, too, and stays one line.
          assert(not is_long or is_word or line:find("^%d+%-%d+%-%d+T"),
            table.concat(args, " ") .. ": " .. line)
        end
      end
    end)
  end

  it("shows the progress of a simulation in one line", function()
    for _, columns in ipairs({ 20, 40, 80, 200 }) do
      local done = run(SIM, { columns = columns })
      local count, before = 0, nil
      for line in done.stdout:gmatch("\r\27%[K([^\r]*)") do
        -- The results follow the last time that the line is cleared.
        assert.is_true(not before or #before < columns, before)
        count, before = count + 1, line
      end
      assert.is_true(count > 1)
      local screen = run(SIM, { columns = columns, screen = true })
      assert.is_nil(screen.stdout:find("joining", 1, true))
      assert.is_nil(screen.stdout:find("####", 1, true))
      assert.matches("^steady: 40 nodes", screen.stdout)
    end
  end)

  it("has no control codes in the background, or for a dumb terminal",
    function()
      for _, args in ipairs(COMMANDS) do
        local done = run(args, { background = true })
        assert.is_false(has_controls(done.stdout), done.stdout)
        done = run(args, { env = { TERM = "dumb" } })
        assert.is_false(has_controls(done.stdout), done.stdout)
      end
    end)

  it("begins on a new line in the background, where a prompt is", function()
    for _, args in ipairs(COMMANDS) do
      local done = run(args, { background = true, screen = true })
      local lines = terminal.lines(done.stdout)
      assert.equal("$", lines[1])
      assert.is_true(#lines > 1)
    end
  end)

  it("keeps the banner of a node in the background short", function()
    local done = run(RUN, { background = true, screen = true, columns = 100 })
    local lines = terminal.lines(done.stdout)
    assert.matches("^kadenza: listening on 127.0.0.1:%d+ id=%x+$", lines[2])
    assert.matches("^kadenza: runs in the background; kill %d+ stops it$",
      lines[3])
    assert.matches("info stopped\n*$", done.stdout)
    assert.is_true(#lines <= 6)
  end)

  it("tells the whole configuration in the foreground", function()
    local shown = run(RUN, { columns = 80 }).stdout
    for _, name in ipairs({ "config", "policies", "state", "limits",
      "joins" }) do
      assert.matches("\n  " .. name .. " +%S", shown)
    end
  end)
end)

describe("in a pipe", function()
  after_each(process.end_all)

  it("commands show no progress and no control codes", function()
    for _, args in ipairs({ CHECK, SIM, { "--help" }, { "nothing" } }) do
      local done = process.run(args, { env = { TERM = "xterm" } })
      assert.is_false(has_controls(done.stdout .. done.stderr))
    end
  end)

  it("the first line of the log of a node tells how it is configured",
    support.with_folder(function(folder)
      local config <close> = assert(io.open(folder .. "/my node.lua", "w"))
      config:write("{ state = 'st', limits = { queries_per_s = 77 } }")
      config:flush()
      local node = process.start_node({ "my node.lua", "--policy", "chat" },
        { folder = folder })
      node:kill("sigterm")
      node:wait()
      local first = node.stderr:match("^[^\n]*")
      assert.matches("^%S+ info starting ", first)
      for _, field in ipairs({ 'config="my node.lua"', "state=st",
        "store=lmdb", "policies=chat", "limits=on", "queries_per_s=77",
        "max_records=200000",
        "version=" .. core.version }) do
        assert.is_truthy(first:find(" " .. field, 1, true), first)
      end
    end))
end)

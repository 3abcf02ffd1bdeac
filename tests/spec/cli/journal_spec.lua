-- Tests scripts/kadenza/cli/output.lua.

local process = require("support.process")

-- Runs the program with a journal on standard error, or another one.
local function run(args, stream)
  local command = { "-c", "JOURNAL_STREAM=" .. stream
    .. ' KADENZA_NOTHING=1 exec "$0" "$@"', process.program() }
  table.move(args, 1, #args, #command + 1, command)
  return process.start(command, { path = "/bin/sh" })
end

local OWN <const> = "$(stat -L -c %d:%i /proc/self/fd/2)"
local RUN <const> = { "run", "--listen", "127.0.0.1:0", "--allow-local",
  "--store", "memory" }

describe("standard error of a service", function()
  after_each(process.end_all)

  it("has the levels of the journal", function()
    local node = run(RUN, OWN)
    node:wait_for("info starting", "stderr")
    node:wait_for("listening on", "stdout")
    node:kill("sigterm")
    node:wait()
    for line in node.stderr:gmatch("[^\n]+") do
      local priority, level = line:match("^<(%d)>%d%S+ (%l+) ")
      assert.equal(({ error = "3", warn = "4", info = "6" })[level], priority)
    end
    assert.matches("<6>%S+ info starting", node.stderr)
    assert.matches("<4>%S+ warn an unknown variable", node.stderr)
  end)

  it("has them before JSON, too", function()
    local node = run({ RUN[1], "--json", table.unpack(RUN, 2) }, OWN)
    node:wait_for("unknown variable", "stderr")
    node:wait_for("listening on", "stdout")
    node:kill("sigterm")
    node:wait()
    assert.matches('^<6>{"', node.stderr)
    assert.matches('\n<4>{"', node.stderr)
  end)

  it("has them on each line of a mistake", function()
    local done = run({ "run", "--no-such-option" }, OWN)
    assert.equal(2, done:wait())
    assert.matches("^<3>kadenza: [^\n]*\n<3>Try 'kadenza run", done.stderr)
  end)

  for _, stream in ipairs({ "1:1", "''", "x", "$(stat -L -c %d:%i /)",
    "$(stat -L -c %d:%i:7 /proc/self/fd/2)",
    "0:0" }) do
    it("has none for JOURNAL_STREAM=" .. stream, function()
      local done = run({ "run", "--no-such-option" }, stream)
      assert.equal(2, done:wait())
      assert.matches("^kadenza: ", done.stderr)
    end)
  end
end)

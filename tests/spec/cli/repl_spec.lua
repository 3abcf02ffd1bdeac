-- Tests scripts/kadenza/cli/repl.lua, bindings/edit/line_editor.c.

local process = require("tests.spec.support.process")
local repl = require("kadenza.cli.repl")
local support = require("tests.spec.support")

describe("kadenza repl --attach", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function start(args)
    return process.start_node({ "--console", folder .. "/console",
      table.unpack(args or {}) })
  end

  local function run(text, args)
    return process.run({ "repl", "--attach", "--console", folder .. "/console",
      table.unpack(args or {}) }, { stdin = text })
  end

  it("knows when a statement goes on", function()
    for _, text in ipairs({ "1", "x = 1", "for i = 1, 2 do print(i) end", "",
      "1 +* 2", "end", "'a\n" }) do
      assert.is_false(repl.is_incomplete(text), text)
    end
    for _, text in ipairs({ "for i = 1, 2 do", "f(", "return {", "x =",
      "if true then\n  print(1)", "[[ a", "--[[ a" }) do
      assert.is_true(repl.is_incomplete(text), text)
    end
  end)

  it("runs what a script sends, and prints what it returns", function()
    local node = start()
    local done = run("1 + 1\nx = 20\nx + 1\nfor i = 1, 2 do\n  print(i)\nend\n"
      .. "kad.hex(node:id())\n\nstats().lookups")
    assert.equal(0, done.status, done.stderr)
    assert.equal("", done.stderr)
    assert.is_truthy(done.stdout:find("^2\n21\n1\n2\n"), done.stdout)
    assert.is_truthy(done.stdout:find(node.id, 1, true))
    assert.matches("\n0\n$", done.stdout)
  end)

  it("ends with status 1 if some of it failed, after the rest", function()
    start()
    local done = run("error('no')\n1 +* 2\nwhile true do end\n"
      .. "for i = 1, 2 do\n")
    assert.equal(1, done.status)
    assert.equal("", done.stdout)
    assert.matches("no", done.stderr)
    assert.matches("unexpected symbol ", done.stderr)
    assert.matches("'end' expected", done.stderr)
    done = run("error('no')\n7\n")
    assert.equal(1, done.status)
    assert.equal("7\n", done.stdout)
  end)

  it("has the policies of the node", function()
    start({ "--policy", "counter" })
    assert.equal('"counter"\n', run("policies.counter.name\n").stdout)
  end)

  it("has a time limit, in which the node answers others", function()
    local node = start({ "--policy-instructions", "1000000" })
    local done = process.start({ "repl", "--attach", "--console",
      folder .. "/console" }, { stdin = "while true do end\n" })
    assert.equal(0, process.run({ "ping", node.address, "--allow-local" })
      .status)
    assert.equal(1, done:wait())
    assert.equal(0, process.run({ "ping", node.address, "--allow-local" })
      .status)
  end)

  it("needs --attach, and a node", function()
    local done = process.run({ "repl" })
    assert.equal(2, done.status)
    assert.matches("%-%-attach is needed", done.stderr)
    done = run("1\n")
    assert.equal(1, done.status)
    assert.matches("no node has its console there", done.stderr)
  end)

  it("edits lines on a terminal, completes names and keeps a history",
    function()
      if not process.run({ "repl", "--help" }).stdout:find("Tab", 1, true) then
        return
      end
      start()
      local done = process.run({ "-c", [[
import os, pty, sys, time, select
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.environ["LANG"] = "C.UTF-8"
    os.execv(sys.argv[1], sys.argv[1:])
output = b""
def wait(text):
    global output
    end = time.time() + 20
    while text not in output:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if ready:
            try:
                output += os.read(terminal, 65536)
            except OSError:
                break
        if time.time() > end:
            sys.stdout.write("no %r in %r\n" % (text, output))
            sys.exit(1)
    output = output[output.index(text) + len(text):] if text in output else b""
def send(text):
    os.write(terminal, text)
wait(b"> ")
send(b"node:is_op\t()\n")
wait(b"true")
send(b"for i = 1, 2 do\n")
wait(b">> ")
send(b"print('number', i) end\n")
wait(b"2\r\n")
wait(b"> ")
send(b"garbage(((\x03")
wait(b"^C")
send(b"\x10\x10\x10\n")
wait(b"true")
send(b"'\xc3\xa9\x7f\xc3\xa8'\n")
wait("è'\r\n".encode())
wait("è".encode())
wait(b"> ")
send(b"\x04")
_, status = os.waitpid(pid, 0)
print("ended", os.WEXITSTATUS(status))
]], process.program(), "repl", "--attach", "--console", folder .. "/console" },
        { path = "/usr/bin/python3", env = { XDG_STATE_HOME = folder,
          LD_PRELOAD = "" } }) -- the sanitizer of the specs is not for Python
      assert.equal("ended 0\n", done.stdout, done.stderr)
      local file <close> = assert(io.open(folder .. "/kadenza/history"))
      local lines = file:read("a")
      assert.is_truthy(lines:find("^node:is_open%(%)\nfor i = 1, 2 do\n"),
        lines)
    end)
end)

-- Tests scripts/kadenza/cli/file.lua: who may read what the program writes.

local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

-- Runs a shell script in which $0 is the program; returns what it prints.
local function shell(folder, script)
  local done = process.start({ "-c", script, process.program() },
    { path = "sh", folder = folder })
  assert.equal(0, done:wait(), done.stderr)
  return done.stdout
end

describe("files of kadenza", function()
  after_each(process.end_all)

  for umask, modes in pairs({
    ["022"] = "755 644", ["002"] = "775 664", ["077"] = "700 600",
  }) do
    it("follow a umask of " .. umask .. ", and secret ones do not",
      support.with_folder(function(folder)
        local out = shell(folder, "umask " .. umask .. "\n" .. [[
          "$0" new policy notes >/dev/null
          "$0" keygen key >/dev/null
          echo $(stat -c %a notes notes/notes.lua key)
        ]])
        assert.equal(modes .. " 600\n", out)
      end))
  end

  it("are private in a state folder", support.with_folder(function(folder)
    local node = process.start_node({ "--state", folder .. "/state" })
    local out = shell(folder, "stat -c '%a %n' state state/*")
    assert.equal("700 state\n600 state/console\n600 state/console.lock\n"
      .. "600 state/node.lock\n600 state/node.state\n"
      .. "600 state/records.journal.1\n600 state/records.journal.2\n"
      .. "600 state/records.mdb\n600 state/records.mdb-lock\n", out)
    node:kill("sigterm")
    node:wait()
  end))
end)

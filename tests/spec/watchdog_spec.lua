-- Tests bindings/lua/watchdog.c: signals while a script blocks the node.

local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

-- A policy that blocks the node once it runs: a FIFO that nothing writes to is
-- opened.
local BLOCKS <const> = [[
  local kad = require("kadenza")
  return { name = "block", on_start = function()
    kad.spawn(function()
      io.stderr:write("blocks\n")
      io.open(%q)
    end)
  end }]]

-- Starts a node with a policy, once `text` is on its standard error.
local function start_node(folder, code, text)
  local path = folder .. "/policy.lua"
  local file <close> = assert(io.open(path, "wb"))
  file:write(code)
  file:flush()
  local node = process.start({ "run", "--listen", "127.0.0.1:0",
    "--allow-local", "--policy", path, "--trust", path })
  node:wait_for(text, "stderr")
  return node
end

describe("a node that a script blocks", function()
  after_each(process.end_all)

  for signal, status in pairs({ sigterm = 143, sigint = 130 }) do
    it("ends at " .. signal, support.with_folder(function(folder)
      local fifo = folder .. "/fifo"
      local made = process.run({ fifo }, { path = "/usr/bin/mkfifo" })
      assert.equal(0, made.status)
      local node = start_node(folder, BLOCKS:format(fifo), "blocks")
      node:kill(signal)

      assert.equal(status, node:wait())
      assert.matches("the node does not respond to the signal", node.stderr)
    end))
  end

  it("stops cleanly when it responds in time", support.with_folder(
    function(folder)
      local node = start_node(folder, [[
        local kad = require("kadenza")
        return { name = "late", on_start = function()
          kad.spawn(function() io.stderr:write("begun\n") end)
        end, on_stop = function()
          local begun = os.clock()
          while os.clock() - begun < 0.05 do end
          io.stderr:write("stopped\n")
        end }]], "begun")
      node:kill("sigterm")

      assert.equal(0, node:wait())
      assert.matches("stopped\n", node.stderr)
      assert.is_nil(node.stderr:find("does not respond", 1, true))
    end))
end)

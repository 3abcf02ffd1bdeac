-- Tests scripts/kadenza/node.lua, scripts/kadenza/cli/report.lua: the id of a
-- node, and the address that it fits (BEP 42).

local kad = require("kadenza")
local report = require("kadenza.cli.report")
local support = require("tests.spec.support")

local local_node, with_folder = support.local_node, support.with_folder

local function host(node)
  return (node:addresses()[1]:gsub(":%d+$", ":0"))
end

describe("the id of a node", function()
  it("fits a global address from the start", support.spec(function()
    local net <close> = kad.sim({ nodes = 20, seed = 1 })
    for _, node in ipairs(net.nodes) do
      local secure = node:secure_id()
      assert.equal(host(node), secure.address)
      assert.is_true(secure.fits and secure.may_move)
      assert.equal(0, secure.moves)
      assert.is_nil(secure.previous)
      assert.is_true(kad.is_secure_id(node:id(), secure.address))
    end
  end))

  it("follows the address, is logged and saved", with_folder(function(folder)
    local net <close> = kad.sim({ nodes = 30, seed = 2 })
    local node = assert(net:open({ state = folder .. "/state" }))
    local first, heard = node:id(), {}
    local before = kad.log.configure({ level = "info", sink = function(event)
      if event.message:find("^the id has changed") then
        heard[#heard + 1] = event.fields
      end
    end })
    net:spawn(report.watch, node, false)
    net:spawn(node.bootstrap, node, net.nodes[1]:addresses())
    net:run(60)
    net:move(node)
    net:run(1800)
    kad.log.restore(before)

    local secure = node:secure_id()
    assert.is_true(secure.fits)
    assert.equal(1, secure.moves)
    assert.equal(first, secure.previous)
    assert.equal(1, #heard)
    assert.equal(kad.hex(node:id()), heard[1].id)
    assert.equal(kad.hex(first), heard[1].previous)
    assert.equal(node:id(),
      require("kadenza.state").read_id(folder .. "/state"))
  end))

  it("stays if it was given, unless it may move", support.spec(function()
    local net <close> = kad.sim({ nodes = 20, seed = 3 })
    local id = ("x"):rep(20)
    local kept = assert(net:open({ id = id }))
    local moved = assert(net:open({ id = ("y"):rep(20), move_id = true }))
    net:run(1800)

    assert.equal(id, kept:id())
    assert.same({ false, false }, { kept:secure_id().fits,
      kept:secure_id().may_move })
    assert.is_true(moved:secure_id().fits)
  end))

  it("may move if it comes from a state folder", with_folder(function(folder)
    kad.run(function()
      local options = local_node({ state = folder .. "/state" })
      local node = assert(kad.node(options))
      local id = node:id()
      node:close()
      local again <close> = assert(kad.node(options))
      assert.equal(id, again:id())
      assert.is_true(again:secure_id().may_move)
    end, { timeout = 20 })
  end))
end)

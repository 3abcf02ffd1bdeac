local state_folder = require("kadenza.cli.state_folder")
local core = require("kadenza.core")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("kadenza run without --state", function()
  local home, remove

  before_each(function()
    home, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  -- Runs a node on a port that is free; returns its address.
  local function run(args)
    local free = process.start_node()
    local address = free.address
    free:kill("sigterm")
    free:wait()
    local all = { "run", "--listen", address, "--allow-local" }
    table.move(args or {}, 1, #(args or {}), #all + 1, all)
    local node = process.start(all, { env = { XDG_STATE_HOME = home } })
    node:wait_for("listening on", "stdout")
    node:kill("sigterm")
    assert.equal(0, node:wait())
    return address
  end

  it("keeps its state in the user's folder, by its address", function()
    local address = run()
    local folder = home .. "/kadenza/" .. address
    assert.is_truthy(core.exists(folder .. "/records.mdb"))
    assert.is_truthy(core.exists(folder .. "/node.state"))
  end)

  it("keeps nothing with --store memory", function()
    run({ "--store", "memory" })
    assert.is_falsy(core.exists(home .. "/kadenza"))
  end)

  it("has no folder for a free port", function()
    assert.is_nil(state_folder.default("127.0.0.1:0"))
    local node = process.start_node({}, { env = { XDG_STATE_HOME = home } })
    node:kill("sigterm")
    node:wait()
    assert.is_falsy(core.exists(home .. "/kadenza"))
  end)
end)

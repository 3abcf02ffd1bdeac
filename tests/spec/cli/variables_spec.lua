local process = require("tests.spec.support.process")

-- Returns the variables that a command warns of, and what it suggests.
local function warnings(env, args)
  local done = process.run(args or { "id" }, { env = env })
  assert.equal(0, done.status, done.stderr)
  local found = {}
  for line in done.stderr:gmatch("[^\n]+") do
    assert.matches("warn an unknown variable is ignored", line)
    found[line:match("variable=(%S+)")] = line:match("did_you_mean=(%S+)") or ""
  end
  return found
end

describe("the variables of the environment", function()
  after_each(process.end_all)

  it("are warned of if no option has them, with the nearest one", function()
    assert.same({
      KADENZA_POLICY = "KADENZA_POLICIES", -- the flag is --policy
      KADENZA_WIRE_VERSION = "KADENZA_VERSION",
      KADENZA_k = "KADENZA_K",
      KADENZA_BOOTSTRAPS = "KADENZA_BOOTSTRAP",
      KADENZA_QUERY_SM = "KADENZA_QUERY_MS",
      KADENZA_XYZZY = "",
      KADENZA_ = "",
    }, warnings({
      KADENZA_POLICY = "p.lua",
      KADENZA_WIRE_VERSION = "x",
      KADENZA_k = "20",
      KADENZA_BOOTSTRAPS = "192.0.2.1:1",
      KADENZA_QUERY_SM = "1",
      KADENZA_XYZZY = "",
      KADENZA_ = "1",
    }))
  end)

  it("are not warned of if an option or another program has them", function()
    assert.same({}, warnings({ KADENZA_LISTEN = "127.0.0.1:7001",
      KADENZA_QUERIES_PER_S = "10", KADENZA_SEED = "1", KADENZAX = "1" }))
  end)

  it("are warned of as JSON with --json", function()
    local done = process.run({ "id", "--json" },
      { env = { KADENZA_POLICY = "p.lua" } })

    assert.matches('"did_you_mean":"KADENZA_POLICIES"', done.stderr)
    assert.matches('"variable":"KADENZA_POLICY"', done.stderr)
  end)

  it("are warned of when a node starts, behind the first line", function()
    local node = process.start_node({}, { env = { KADENZA_POLICY = "p.lua" } })

    node:wait_for("did_you_mean=KADENZA_POLICIES", "stderr")
    assert.matches("^%S+ info starting ", node.stderr)
  end)
end)

local dkjson = require("dkjson")

local process = require("tests.spec.support.process")
local terminal = require("tests.spec.support.terminal")

describe("kadenza watch", function()
  local node

  before_each(function()
    node = process.start_node({ "--policy", "pubsub" })
  end)

  after_each(process.end_all)

  local function with_node(args)
    local all = table.move(args, 1, #args, 1, {})
    table.move({ "--bootstrap", node.address, "--allow-local" }, 1, 3,
      #all + 1, all)
    return all
  end

  local function put(...)
    local done = process.run(with_node({ "put", ... }))
    assert.equal(0, done.status, done.stderr)
  end

  it("prints what is present, what changes and what expires, until SIGINT",
    function()
      put("a", "old")
      local watch =
        process.start(with_node({ "watch", "a", "--interval", "1" }))
      watch:wait_for("^%d+%-%d+%-%d+T[%d:]+Z present old\n", "stdout")
      put("a", "two\nlines", "--ttl", "2")
      watch:wait_for("Z changed two\\x0alines\n", "stdout")
      watch:wait_for("Z expired two\\x0alines\n", "stdout")

      watch:kill("sigint")
      assert.equal(0, watch:wait())
      assert.equal("", watch.stderr)
    end)

  it("ends with its reader, and does not wait for an event", function()
    put("a", "old")
    local words = { process.program(), "watch", "a", "--bootstrap",
      node.address, "--allow-local", "--timeout", "30" }
    local done = process.run({ "-c", "(" .. table.concat(words, " ")
      .. "; echo status $? >&2) | head -n 1" }, { path = "/bin/sh" })
    assert.matches(" present old\n$", done.stdout)
    assert.equal("status 141\n", done.stderr)
  end)

  it("prints behind the line of a prompt in the background", function()
    put("a", "old")
    for _, format in ipairs({ "--log=warn", "--json" }) do
      local done = terminal.run(with_node({ "watch", "a", "--timeout", "1",
        format }), { background = true, screen = true, columns = 250 })
      local lines = terminal.lines(done.stdout)
      assert.equal("$", lines[1])
      assert.matches("present", lines[2])
    end
  end)

  it("prints pushed events, and ends after --count, as JSON", function()
    local watch = process.start(with_node({ "watch", "news", "--type", "event",
      "--interval", "86400", "--count", "1", "--json" }))
    -- The subscription is accepted some time after the start: an event that is
    -- stored before is present.
    repeat
      put("news", "12345678\255", "--type", "event", "--policy", "pubsub")
      put("news", ("%08d"):format(#watch.stdout) .. "x", "--type", "event",
        "--policy", "pubsub")
    until watch.status or watch.stdout:find("changed", 1, true)

    assert.equal(0, watch:wait())
    local last
    for line in watch.stdout:gmatch("[^\n]+") do
      last = assert(dkjson.decode(line))
      assert.equal(40, #last.key)
      assert.equal("event", last.type)
    end
    assert.equal("changed", last.event)
    assert.is_true(last.value ~= nil or last.value_hex == "ff")
    assert.is_true(last.ttl > 0)
  end)

  it("ends after --timeout: with 0, or with 1 if --count is not reached",
    function()
      local done = process.run(with_node({ "watch", "a", "--timeout", "1" }))
      assert.equal(0, done.status)
      assert.equal("", done.stdout)

      done = process.run(with_node({ "watch", "a", "--timeout", "1", "--count",
        "1" }))
      assert.equal(1, done.status)
      assert.equal("kadenza: fewer than 1 values have changed or expired "
        .. "within 1 s\n", done.stderr)
    end)

  it("needs a node to join through, and a type that is defined", function()
    local done = process.run({ "watch", "a" })
    assert.equal(2, done.status)
    assert.matches("%-%-bootstrap HOST:PORT is needed", done.stderr)

    done = process.run(with_node({ "watch", "a", "--type", "No.Type" }))
    assert.equal(1, done.status)
    assert.matches("%-%-policy FILE defines record types", done.stderr)
  end)

  it("says that no node pushes the type", function()
    local watch = process.start(with_node({ "watch", "a", "--type", "score",
      "--timeout", "2" }))
    watch:wait_for("warn no node pushes records of this type", "stderr")
    assert.equal(0, watch:wait())
  end)

  it("ends when its reader does", function()
    put("a", "x")
    local done = process.run({ "-c", '"$0" "$@" | head -n 1',
      process.program(), table.unpack(with_node({ "watch", "a", "--interval",
        "1", "--timeout", "10" })) }, { path = "/bin/sh" })
    assert.equal(0, done.status)
    assert.matches("present x\n$", done.stdout)
  end)
end)

-- Tests scripts/kadenza/cli/lookup.lua, scripts/kadenza/cli/lookup_tree.lua,
-- scripts/kadenza/console/trace.lua.

local dkjson = require("dkjson")
local kad = require("kadenza")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")
local trace = require("kadenza.console.trace")
local tree = require("kadenza.cli.lookup_tree")

describe("the trace of a lookup", function()
  local function step(fields)
    fields.path, fields.asked = fields.path or 1, fields.asked or 0
    fields.answered = fields.rtt ~= nil
    fields.hop = 1
    return fields
  end

  local function id_of(first)
    return (first .. ("\0"):rep(20)):sub(1, 20)
  end

  it("names for each query the one that named its contact", function()
    local document = trace.document(id_of("\xf0"), {
      { id = id_of("\xf0\1"), address = "c" } }, { hops = 2, messages = 4,
      took = 0.1239, path = {
        step({ id = id_of("\x80"), address = "a", rtt = 0.0101 }),
        step({ id = id_of("\xc0"), address = "b", asked = 0.01,
          heard_from = "a" }),
        step({ id = id_of("\xf0\1"), address = "c", asked = 0.02, rtt = 0.2,
          heard_from = "a" }),
        step({ id = id_of("\0"), address = "d", heard_from = "e" }),
      } })
    assert.equal(0.124, document.took)
    local rows = {}
    for i, row in ipairs(document.steps) do
      rows[i] = ("%s %s %d %s"):format(row.address, row.named_by or "-",
        row.bits, row.closest)
    end
    assert.same({ "a - 1 false", "b 1 2 false", "c 1 15 true", "d - 0 false" },
      rows)
  end)

  it("is drawn as a tree", function()
    local function row(number, named_by, asked, rtt, more)
      local fields = step({ number = number, named_by = named_by, asked = asked,
        rtt = rtt, id = ("%02x"):format(number):rep(20), bits = number,
        address = "192.0.2." .. number })
      for name, value in pairs(more or {}) do
        fields[name] = value
      end
      return fields
    end
    local steps = { row(1, nil, 0, 0.0121), row(2, nil, 0, nil),
      row(3, 1, 0.013, 0.3), row(4, 3, 0.313, 1.5, { closest = true }),
      row(5, 3, 0.32, nil), row(6, 1, 0.4, 0.01, { had_value = true }) }
    assert.equal([[
abababab…: 6 queries, 3 hops, 1.81 s
    asked      reply  bits  contacts (* the closest)
     0 µs    12.1 ms     1  ├─ 0101010101 192.0.2.1
  13.0 ms     300 ms     3  │  ├─ 0303030303 192.0.2.3
   313 ms     1.50 s     4  │  │  ├─ 0404040404 192.0.2.4 *
   320 ms   no reply     5  │  │  └─ 0505050505 192.0.2.5
   400 ms    10.0 ms     6  │  └─ 0606060606 192.0.2.6 has the value
     0 µs   no reply     2  └─ 0202020202 192.0.2.2
]], (tree.text({ target = "abababab", messages = 6, hops = 3, took = 1.813,
      steps = steps })))
    steps[2].path, steps[1].named_by = 2, 6 -- no circle
    local text = tree.text({ target = "ab", messages = 6, hops = 3, took = 0,
      steps = steps })
    assert.is_truthy(text:find("192.0.2.2 path 2\n", 1, true))
    assert.equal(8, select(2, text:gsub("\n", "")))
  end)

  describe("of kadenza lookup", function()
    local folder, remove

    before_each(function()
      folder, remove = support.temporary_folder()
    end)

    after_each(function()
      process.end_all()
      remove()
    end)

    it("comes from a node that runs, or from one of its own", function()
      local node = process.start_node({ "--console", folder .. "/console" })
      local others = {}
      for i = 1, 3 do
        others[i] = process.start_node({ "--bootstrap", node.address })
        others[i]:wait_for("state=healthy", "stderr")
      end
      local function lookup(...)
        return process.run({ "lookup", "anything", "--console",
          folder .. "/console", ... })
      end
      local done = lookup("--trace")
      assert.equal(0, done.status, done.stderr)
      assert.matches("^" .. kad.hex(kad.key("anything")):sub(1, 10)
        .. "…: %d+ queries, %d+ hops, ", done.stdout)
      for _, other in ipairs(others) do
        assert.is_truthy(done.stdout:find(("─ %s %s *\n"):format(
          other.id:sub(1, 10), other.address), 1, true), done.stdout)
      end
      local document = dkjson.decode(lookup("--trace", "--json").stdout)
      assert.equal(document.messages, #document.steps)
      assert.equal(3, #document.contacts)
      assert.is_true(document.steps[1].rtt >= 0)
      document = dkjson.decode(lookup("--json").stdout)
      assert.is_nil(document.steps)
      assert.equal(4, select(2, process.run({ "lookup", "anything",
        "--bootstrap", node.address, "--allow-local" }).stdout:gsub("\n", "")))
      local own = process.run({ "lookup", "anything", "--trace",
        "--bootstrap", node.address, "--allow-local" })
      assert.is_truthy(own.stdout:find(node.address .. " *", 1, true))
    end)

    it("needs a node", function()
      local done = process.run({ "lookup", "x" })
      assert.equal(2, done.status)
      assert.matches("%-%-bootstrap HOST:PORT is needed", done.stderr)
      done = process.run({ "lookup", "x", "--state", folder })
      assert.equal(1, done.status)
      assert.matches("no node has its console there", done.stderr)
    end)
  end)
end)

-- Tests scripts/kadenza/cli/contacts.lua, scripts/kadenza/cli/records.lua.

local contacts = require("kadenza.cli.contacts")
local core = require("kadenza.core")
local dkjson = require("dkjson")
local kad = require("kadenza")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("the contacts and records of a node that runs", function()
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

  local function run(...)
    return process.run({ ... }, { env = {
      KADENZA_CONSOLE = folder .. "/console" } })
  end

  it("are listed", function()
    local node = start()
    assert.equal("no contacts\n", run("contacts").stdout)
    local none = run("records")
    assert.equal("", none.stdout)
    assert.equal("kadenza: no records\n", none.stderr)

    local other = process.start_node({ "--bootstrap", node.address })
    other:wait_for("state=healthy", "stderr")
    local listed = run("contacts").stdout
    assert.matches("^bucket +id +address +seen +rtt +failed +state\n"
      .. "%d+ +" .. other.id .. " +" .. other.address:gsub("%.", "%%.")
      .. " +%d+ s +[%d.]+ [µm]?s +0 +good\n$", listed)
    local document = dkjson.decode(run("contacts", "--json").stdout)
    assert.equal(other.id, document.contacts[1].id)

    for i = 1, 3 do
      process.run({ "put", "key " .. i, "value " .. i, "--bootstrap",
        node.address, "--allow-local" })
    end
    process.run({ "put", "key 1", "\255", "--bootstrap", node.address,
      "--allow-local" })
    local all = run("records")
    local lines = {}
    for line in all.stdout:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    assert.equal(5, #lines, all.stdout)
    assert.matches("^key +type +size +age +left +publisher$", lines[1])
    for i = 2, 5 do
      assert.matches("^%x+  value +%d B +%d+ s +[%d]+ [^-]+-$", lines[i])
      assert.is_true(core.text_width(lines[i]) <= 100)
    end
    local some = run("records", "--count", "2")
    assert.equal(3, select(2, some.stdout:gsub("\n", "")))
    assert.equal("kadenza: there are more than these 2 (--count N)\n",
      some.stderr)
    assert.equal("kadenza: no records\n", run("records", "--type", "peers")
      .stderr)

    local under = run("records", "key 2")
    assert.matches("^key +type +size +age +left +value\n"
      .. kad.hex(kad.key("key 2")) .. "  value +7 B .* value 2\n$",
      under.stdout)
    local hexed = run("records", "key 1", "--json").stdout
    assert.matches('"value_hex":"ff"', hexed)
    for line in hexed:gmatch("[^\n]+") do
      assert.equal(kad.hex(kad.key("key 1")), dkjson.decode(line).key)
    end
    assert.matches("  \\xff\n", run("records", "key 1").stdout)
  end)

  it("fit narrow terminals", function()
    local list = { { bucket = 0, id = ("ab"):rep(20), idle = 100, rtt = 0.0123,
      address = "192.0.2.1:65535", failures = 2, state = "questionable" } }
    assert.matches("0 +" .. ("ab"):rep(20) .. " ", contacts.text(list))
    assert.matches(" ababababab… ", contacts.text(list, 80))
    for _, columns in ipairs({ 120, 80, 60, 40, 24 }) do
      for line in contacts.text(list, columns):gmatch("[^\n]+") do
        assert.is_true(core.text_width(line) <= columns, line)
      end
    end
  end)
end)

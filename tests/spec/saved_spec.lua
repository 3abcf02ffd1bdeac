local core = require("kadenza.core")
local saved = require("kadenza.saved")

local ID <const> = ("x"):rep(20)
local NOW <const> = { wall = 1796000000, boot = 5000, boot_id = "a" }

-- Returns the clocks some seconds after NOW.
local function after(seconds)
  return { wall = NOW.wall + seconds, boot = NOW.boot + seconds, boot_id = "a" }
end

local function node_bytes(fields)
  local value = { version = 1, id = ID, contacts = { "192.0.2.1:6881" } }
  for name, field in pairs(fields) do
    value[name] = field
  end
  return core.encode(value)
end

local function record(fields)
  local value = { key = ID, type = "value", value = "v" }
  for name, field in pairs(fields or {}) do
    value[name] = field
  end
  return value
end

local function first_of(bytes, now, written)
  local kept = assert(saved.read_publications(bytes, written or NOW.wall,
    now or NOW))
  return kept.records[1], kept
end

-- Calls `fn` with seeded mutations of `bytes`: bits flipped, and bytes removed,
-- repeated, and replaced by those that bencode gives a meaning.
local function mutate(bytes, count, fn)
  local seed = 42
  local function below(n)
    seed = (seed * 6364136223846793005 + 1442695040888963407)
    return (seed >> 33) % n
  end
  local meanings =
    { "i", "l", "d", "e", ":", "-", "0", "9", "99999999999", "\0" }
  for _ = 1, count do
    local text = bytes
    for _ = 0, below(4) do
      local at = below(#text) + 1
      local byte = text:byte(at)
      local mutations = {
        string.char(byte ~ (1 << below(8))), "", text:sub(at, at + below(40)),
        meanings[below(#meanings) + 1],
      }
      text = text:sub(1, at - 1) .. mutations[below(4) + 1] .. text:sub(at + 1)
      text = text == "" and "x" or text
    end
    fn(text)
  end
end

local WHOLE <const> = saved.write_node(ID, {})

describe("kadenza.saved", function()
  it("reads what it wrote", function()
    local state = assert(saved.read_node(
      saved.write_node(ID, { "192.0.2.1:6881", "[2001:db8::1]:6881" })))
    assert.equal(ID, state.id)
    assert.same({ "192.0.2.1:6881", "[2001:db8::1]:6881" }, state.contacts)
    assert.equal(0, state.damage.count)

    local records = {
      record(), record({ ttl = 100, seq = -5, salt = "s" }),
      record({ publisher = ("p"):rep(32), signature = ("s"):rep(64) }),
    }
    local kept = assert(saved.read_publications(
      saved.write_publications(records, NOW), 0, NOW))
    assert.same(records, kept.records)
    assert.equal(0, kept.damage.count)
  end)

  it("keeps the valid contacts, at most 200", function()
    local state = assert(saved.read_node(node_bytes({
      contacts = { "nope", "192.0.2.1:6881", 5, {} },
    })))
    assert.same({ "192.0.2.1:6881" }, state.contacts)
    assert.equal(3, state.damage.count)

    local many = {}
    for i = 1, 5000 do
      many[i] = ("10.0.%d.%d:1"):format(i // 250, i % 250)
    end
    state = assert(saved.read_node(node_bytes({ contacts = many })))
    assert.equal(200, #state.contacts)
    assert.equal(0, state.damage.count)
    for _, none in ipairs({ 5, { a = "192.0.2.1:6881" } }) do
      state = assert(saved.read_node(node_bytes({ contacts = none })))
      assert.same({}, state.contacts)
      assert.equal(1, state.damage.count)
    end
  end)

  it("knows a newer version from damage", function()
    for version, is_newer in pairs({ [0] = false, [2] = true, [99] = true }) do
      local _, problem, newer =
        saved.read_node(node_bytes({ version = version }))
      assert.is_string(problem)
      assert.equal(is_newer, newer)
    end
    for _, bytes in ipairs({ "", "i5e", "d", "le", "de", "d7:version1:1e",
      node_bytes({ id = "short" }), node_bytes({ id = 5 }) }) do
      local state, problem, newer = saved.read_node(bytes)
      assert.is_nil(state)
      assert.is_string(problem)
      assert.is_false(newer)
    end
  end)

  it("says what became of a file", function()
    for bytes, problem in pairs({ [""] = "it is empty",
      [WHOLE:sub(1, -2)] = "it is cut or overwritten",
      [WHOLE .. "\n"] = "it is cut or overwritten",
      [("\0"):rep(50)] = "it is cut or overwritten",
      ["i5e"] = "it is not a state of version 1" }) do
      assert.equal(problem, select(2, saved.read_node(bytes)))
    end
  end)

  it("does not make a table of every two bytes", function()
    local _, problem = saved.read_node("d8:contactsl" .. ("le"):rep(100000)
      .. "e2:id20:" .. ID .. "7:versioni1ee")
    assert.equal("it has too many lists and dictionaries", problem)
  end)

  it("counts invalid records and keeps the others", function()
    local bytes = core.encode({ version = 1, records = {
      record(), 5, {}, record({ key = 5 }), record({ value = {} }),
      record({ rest = -1 }), record({ rest = "long" }), record({ ends = -5 }),
      record({ seq = "one" }), { key = ID, type = "value" },
      record({ extra = "ignored" }),
    } })
    local kept = assert(saved.read_publications(bytes, NOW.wall, NOW))
    assert.equal(2, #kept.records)
    assert.equal(9, kept.damage.count)
    assert.is_string(kept.damage.error)
  end)

  it("takes no dictionary for a list of records", function()
    for _, records in ipairs({ { a = record() }, 5, "" }) do
      local kept, problem = saved.read_publications(
        core.encode({ version = 1, records = records }), NOW.wall, NOW)
      assert.is_nil(kept)
      assert.equal("it has no records", problem)
    end
  end)

  it("gives a record what is left of its life", function()
    local bytes = saved.write_publications({ record({ ttl = 3600 }) }, NOW)
    assert.equal(3600, first_of(bytes).ttl)
    assert.equal(2600, first_of(bytes, after(1000)).ttl)
    assert.is_nil(first_of(bytes, after(3600)))
    assert.is_nil(first_of(saved.write_publications({ record() }, NOW),
      after(1 << 40)).ttl)
  end)

  it("gives a record at most its life, whatever the wall clock says", function()
    local bytes = saved.write_publications({ record({ ttl = 3600 }) }, NOW)
    for _, wall in ipairs({ 0, 86400, NOW.wall - 18000, NOW.wall + 18000,
      NOW.wall + (1 << 31), 1 << 40 }) do
      local now = { wall = wall, boot = NOW.boot + 60, boot_id = "a" }
      assert.equal(3540, first_of(bytes, now).ttl)
    end
    for _, wall in ipairs({ 0, NOW.wall - 18000 }) do
      local now = { wall = wall, boot = 60, boot_id = "b" }
      assert.equal(3540, first_of(bytes, now).ttl)
    end
  end)

  it("does not end a record that was saved with a clock of 1970", function()
    local wrong = { wall = 300, boot = 300, boot_id = "a" }
    local bytes = saved.write_publications({ record({ ttl = 3600 }) }, wrong)
    assert.equal(3540, first_of(bytes, { wall = NOW.wall, boot = 360,
      boot_id = "a" }).ttl)
    assert.equal(3580, first_of(bytes, { wall = NOW.wall, boot = 20,
      boot_id = "b" }).ttl)
  end)

  it("reads the first files by the time they were written", function()
    local bytes = core.encode({ version = 1, records = {
      record({ ends = NOW.wall + 3600 }),
    } })
    assert.equal(3600, first_of(bytes).ttl)
    assert.equal(2600, first_of(bytes, after(1000)).ttl)
    assert.is_nil(first_of(bytes, after(3600)))
    assert.equal(3600, first_of(bytes, { wall = 0, boot = 9 }).ttl)
    assert.is_nil(first_of(bytes, { wall = 0, boot = 9 }, NOW.wall + 4000))
  end)

  it("survives clocks and lives that are no such numbers", function()
    for _, value in ipairs({ math.mininteger, -1, math.maxinteger, "x", {} }) do
      for _, name in ipairs({ "time", "boot", "boot_id" }) do
        local file = { version = 1, time = NOW.wall, boot = NOW.boot,
          boot_id = "a", records = { record({ rest = 3600 }),
            record({ ends = NOW.wall + 3600 }) } }
        file[name] = value
        local _, kept = first_of(core.encode(file))
        for _, one in ipairs(kept.records) do
          assert.is_true(one.ttl > 0 and one.ttl <= 0xffffffff)
        end
      end
    end
  end)

  -- Every record that is read can be read by the core, or raises an error that
  -- restoring it catches: only the types are checked here.
  it("survives seeded mutations of both files", function()
    local node = saved.write_node(ID, { "192.0.2.1:6881", "[::1]:5" })
    mutate(node, 30000, function(bytes)
      local state = saved.read_node(bytes)
      if state then
        assert(#state.id == 20 or #state.id == 32)
        for _, contact in ipairs(state.contacts) do
          assert(core.address(contact))
        end
      end
    end)
    local own = saved.write_publications({
      record({ ttl = 3600 }), record({ salt = "salt", seq = 5, ttl = 1,
        publisher = ("p"):rep(32), signature = ("s"):rep(64) }),
    }, NOW)
    mutate(own, 30000, function(bytes)
      local kept = saved.read_publications(bytes, NOW.wall, after(1))
      for _, one in ipairs(kept and kept.records or {}) do
        assert(type(one.key) == "string" and type(one.value) == "string")
        assert(not one.ttl or one.ttl > 0 and one.ttl <= 0xffffffff)
      end
    end)
  end)

  it("applies changes in their order, also twice", function()
    local a, b = record({ value = "a", ttl = 100 }), record({ value = "b" })
    local changes = {
      saved.write_change(a, true, NOW), saved.write_change(b, true, NOW),
      saved.write_change(a, false, NOW),
      saved.write_change(record({ value = "c", ttl = 50 }), true, NOW),
      saved.write_change(record({ value = "b", ttl = 60 }), true, NOW),
      saved.write_change(record({ value = "d", ttl = 5 }), true, NOW),
    }
    local wanted = { record({ value = "b", ttl = 50 }),
      record({ value = "c", ttl = 40 }) }
    local kept = assert(saved.apply_changes({ a }, changes, after(10)))
    table.sort(kept.records, function(x, y)
      return x.value < y.value
    end)
    assert.same({ records = wanted, damage = { count = 0 } }, kept)
    kept = assert(saved.apply_changes(kept.records, changes, after(10)))
    assert.same(wanted, kept.records)
  end)

  it("counts invalid changes, and knows those of a newer version", function()
    local kept = assert(saved.apply_changes({ record() }, { "", "x",
      core.encode({ version = 1 }), core.encode({ version = 1, record = {} }),
    }, NOW))
    assert.equal(4, kept.damage.count)
    assert.same({ record() }, kept.records)
    assert.same({ nil, "it is of the newer version 2", true },
      { saved.apply_changes({}, { core.encode({ version = 2 }) }, NOW) })
  end)

  it("survives seeded mutations of a change", function()
    local change = saved.write_change(record({ salt = "salt", seq = 5, ttl = 9,
      publisher = ("p"):rep(32), signature = ("s"):rep(64) }), true, NOW)
    mutate(change, 10000, function(bytes)
      local kept = saved.apply_changes({}, { bytes, change, bytes }, after(1))
      for _, one in ipairs(kept and kept.records or {}) do
        assert(type(one.key) == "string" and type(one.value) == "string")
        assert(not one.ttl or one.ttl > 0 and one.ttl <= 0xffffffff)
      end
    end)
  end)

  it("survives a file that is cut at any byte", function()
    local node = saved.write_node(ID, { "192.0.2.1:6881" })
    for length = 0, #node - 1 do
      assert.is_nil((saved.read_node(node:sub(1, length))))
    end
    local own = saved.write_publications({ record({ ttl = 5 }) }, NOW)
    for length = 0, #own - 1 do
      assert.is_nil((saved.read_publications(own:sub(1, length), 0, NOW)))
    end
  end)
end)

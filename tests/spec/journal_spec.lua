-- Tests bindings/lua/journal.c.

local core = require("kadenza.core")
local support = require("tests.spec.support")

local in_folder = support.with_folder

local function read(path)
  return assert(core.read_saved(path, 1 << 20))
end

-- Makes a journal of `texts`, and returns its path.
local function make(folder, texts)
  local path = folder .. "/a.journal"
  local journal = assert(core.open_journal(path, 0))
  for _, text in ipairs(texts) do
    assert(journal:append(text))
  end
  journal:close()
  return path
end

describe("a journal", function()
  it("has the texts that were appended", in_folder(function(folder)
    local texts = { "one", "", ("\0\255"):rep(5000), "four" }
    local bytes = read(make(folder, texts))
    assert.same({ texts, #bytes }, { core.read_journal(bytes) })
    assert.same({ {}, 0 }, { core.read_journal("") })
  end))

  it("goes on after the frames that count", in_folder(function(folder)
    local path = make(folder, { "one", "two", "three" })
    local _, counted = core.read_journal(read(path):sub(1, -2))
    local journal = assert(core.open_journal(path, counted))
    assert.equal(counted, journal:size())
    assert(journal:append("four"))
    assert(journal:sync())
    journal:close()
    assert.same({ "one", "two", "four" }, (core.read_journal(read(path))))
  end))

  it("is empty after clear", in_folder(function(folder)
    local path = folder .. "/a.journal"
    local journal = assert(core.open_journal(path, 0))
    assert(journal:append("one"))
    assert(journal:clear())
    assert.equal(0, journal:size())
    assert(journal:append("two"))
    journal:close()
    assert.same({ "two" }, (core.read_journal(read(path))))
  end))

  it("is read up to where it is cut or changed", in_folder(function(folder)
    local bytes = read(make(folder, { "one", "two" }))
    local half = #bytes // 2
    for len = 0, #bytes - 1 do
      local texts, counted = core.read_journal(bytes:sub(1, len))
      assert.same(len < half and {} or { "one" }, texts)
      assert.equal(len < half and 0 or half, counted)
    end
    for i = 1, #bytes do
      local changed = bytes:sub(1, i - 1)
        .. string.char(bytes:byte(i) ~ 1) .. bytes:sub(i + 1)
      assert.same(i <= half and {} or { "one" }, (core.read_journal(changed)))
    end
    assert.same({}, (core.read_journal(("\0"):rep(4096))))
    assert.same({}, (core.read_journal(("\255"):rep(4096))))
  end))

  it("is for its owner only", in_folder(function(folder)
    local path = make(folder, { "one" })
    local pipe <close> = assert(io.popen("stat -c %a '" .. path .. "'"))
    assert.equal("600\n", pipe:read("a"))
  end))

  it("is a regular file", in_folder(function(folder)
    local path = folder .. "/link"
    assert(os.execute("ln -s /dev/null '" .. path .. "'"))
    local journal, message, code = core.open_journal(path, 0)
    assert.is_nil(journal)
    assert.matches(path .. ": open: ", message, 1, true)
    assert.equal("string", type(code))
    assert.is_nil((core.open_journal(folder, 0)))
    assert.is_nil((core.open_journal("/dev/null", 0)))
  end))

  it("cannot be used when it is closed", in_folder(function(folder)
    local journal = assert(core.open_journal(folder .. "/a.journal", 0))
    journal:close()
    journal:close()
    for _, name in ipairs({ "append", "sync", "clear", "size" }) do
      assert.error_matches(function()
        journal[name](journal, "text")
      end, "closed")
    end
  end))
end)

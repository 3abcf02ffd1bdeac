-- Tests scripts/kadenza/key_file.lua, scripts/kadenza/sealed_lines.lua,
-- bindings/lua/passphrase.c.

local core = require("kadenza.core")
local kad = require("kadenza")
local key_file = require("kadenza.key_file")
local support = require("tests.spec.support")

local with_folder = support.with_folder

local publisher, secret = core.keypair(("s"):rep(32))
local SIGNING <const> = { publisher = publisher, secret = secret }
local BOX <const> = kad.box.keypair(("b"):rep(32))

-- Few passes over little memory: the tests are quick.
local function quick(more)
  local options = { passphrase = "open sesame", passes = 1, memory_kib = 8 }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return options
end

local function read(path)
  return assert(core.read_file(path, 4096))
end

local function write(path, text)
  assert(core.write_file(path, text))
end

describe("kadenza.key_file", function()
  for name, pair in pairs({ signing = SIGNING, box = BOX }) do
    it("loads what it saved: " .. name, with_folder(function(folder)
      local path = folder .. "/my.key"
      assert(key_file.save(path, pair))
      assert.same(pair, key_file.load(path))
      assert.same(pair, key_file.load(path, { passphrase = "not needed" }))
      assert(key_file.save(path, pair, quick({ replace = true })))
      assert.same(pair, key_file.load(path, { passphrase = "open sesame" }))
      assert.is_nil(read(path):find(core.hex(pair.secret), 1, true))
      local pipe <close> = assert(io.popen("stat -c %a '" .. path .. "'"))
      assert.equal("600\n", pipe:read("a"))
    end))
  end

  it("needs the passphrase", with_folder(function(folder)
    local path = folder .. "/my.key"
    assert(key_file.save(path, SIGNING, quick()))
    assert.same({ nil, path .. ": it has a passphrase", "KAD_EACCESS" },
      { key_file.load(path) })
    assert.same({ nil, path .. ": wrong passphrase, or a damaged file",
      "KAD_EACCESS" }, { key_file.load(path, { passphrase = "open" }) })
    for _, phrase in ipairs({ "", "two\nlines", ("x"):rep(1025) }) do
      local pair, message, code = key_file.load(path, { passphrase = phrase })
      assert.is_nil(pair)
      assert.matches("a passphrase is one line of 1 to 1024 bytes", message)
      assert.equal("KAD_EINVAL", code)
    end
  end))

  it("takes a passphrase from a file", with_folder(function(folder)
    local path = folder .. "/my.key"
    write(folder .. "/phrase", "open sesame\n")
    local phrase <close> = assert(key_file.passphrase(folder .. "/phrase"))
    assert(key_file.save(path, BOX, quick({ passphrase = phrase })))
    assert.same(BOX, key_file.load(path, { passphrase = "open sesame" }))
    assert.same(BOX, key_file.load(path, { passphrase = phrase }))
    local none, _, code = key_file.passphrase(folder .. "/none")
    assert.is_nil(none)
    assert.equal("KAD_ENOTFOUND", code)
  end))

  it("replaces no file unless it is told to", with_folder(function(folder)
    local path = folder .. "/my.key"
    write(path, "precious")
    local saved, message = key_file.save(path, SIGNING)
    assert.is_nil(saved)
    assert.matches(path, message, 1, true)
    assert.equal("precious", read(path))
    assert(key_file.save(path, SIGNING, { replace = true }))
    assert.same(SIGNING, key_file.load(path))
  end))

  it("refuses other files, damaged ones and newer ones",
    with_folder(function(folder)
      local path = folder .. "/my.key"
      assert(key_file.save(path, BOX, quick()))
      local sealed = read(path)
      local cases = {
        [""] = "not a key file",
        ["hello\n"] = "not a key file",
        ["kadenza network key 1\nkey 00\n"] = "not a key file",
        [sealed:gsub("key 1", "key 2")] = "a newer version",
        [sealed:sub(1, 100)] = "damaged",
        [sealed:gsub("argon2id 1", "argon2id x")] = "damaged",
        ["kadenza box key 1\npublic 00\nsecret 00\n"] = "damaged",
        [("kadenza box key 1\npublic %s\nsecret %s\n"):format(("0"):rep(64),
          core.hex(BOX.secret))] = "damaged",
      }
      for text, why in pairs(cases) do
        write(path, text)
        local pair, message, code = key_file.load(path)
        assert.is_nil(pair)
        assert.matches(why, message, 1, true)
        assert.equal("KAD_EMALFORMED", code)
      end
      write(path, (sealed:gsub("argon2id 1 8", "argon2id 9999 8")))
      local _, message, code = key_file.load(path, quick().passphrase and
        { passphrase = "open sesame" })
      assert.matches("it wants 9999 passes", message)
      assert.equal("KAD_EINVAL", code)
    end))

  it("knows a public key that is not that of the secret",
    with_folder(function(folder)
      local path = folder .. "/my.key"
      assert(key_file.save(path, SIGNING, quick()))
      write(path, (read(path):gsub("publisher %x+",
        "publisher " .. ("0"):rep(64))))
      assert.same({ nil, path .. ": its keys do not match", "KAD_EINVAL" },
        { key_file.load(path, { passphrase = "open sesame" }) })
    end))

  it("says what is wrong with an argument", with_folder(function(folder)
    local path = folder .. "/my.key"
    local wrong = {
      { "path", 5, SIGNING }, { "path", "", SIGNING },
      { "pair", path, { publisher = publisher, secret = "short" } },
      { "pair", path, { publisher = ("x"):rep(32), secret = secret } },
      { "pair", path, BOX.secret }, { "passes", path, BOX, { passes = 0 } },
      { "passphrase", path, BOX, { passphrase = 5 } },
      { "unknown option", path, BOX, { phrase = "x" } },
    }
    for _, case in ipairs(wrong) do
      assert.error_matches(function()
        key_file.save(case[2], case[3], case[4])
      end, case[1])
    end
    assert.is_nil((core.read_file(path, 4096)))
  end))
end)

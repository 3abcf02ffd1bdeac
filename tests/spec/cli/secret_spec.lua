-- Tests scripts/kadenza/cli/secret.lua, scripts/kadenza/cli/passphrase.lua,
-- scripts/kadenza/cli/keygen.lua and bindings/lua/hidden_input.c.

local core = require("kadenza.core")
local fault = require("kadenza.cli.fault")
local process = require("tests.spec.support.process")
local secret = require("kadenza.cli.secret")
local support = require("tests.spec.support")
local terminal = require("tests.spec.support.terminal")

local PUBLISHER <const>, SECRET <const> = core.keypair(("k"):rep(32))

-- Writes a file that only its owner can read.
local function write(path, text)
  local _ = core.exists(path) or assert(core.create_file(path, ""))
  local file <close> = assert(io.open(path, "wb")) -- does not wait for the disk
  file:write(text)
  return path
end

local function read(path)
  return assert(core.read_file(path, 10000))
end

-- Returns the text of a key file with a passphrase that costs little.
local function sealed_text(phrase, fields)
  local sealed = phrase:seal(SECRET, 1, 8)
  sealed.publisher = PUBLISHER
  for name, value in pairs(fields or {}) do
    sealed[name] = value
  end
  return ("kadenza secret key 1\npublisher %s\nargon2id %s %s %s\n"
    .. "sealed %s %s\n"):format(core.hex(sealed.publisher), sealed.passes,
      sealed.memory_kib, core.hex(sealed.salt), core.hex(sealed.nonce),
      core.hex(sealed.box))
end

-- Returns the pair in a key file, or nil and the fault.
local function try_read(path, phrase_file)
  local succeeded, result = pcall(secret.read, "--key", path, phrase_file)
  if succeeded then
    return result
  end
  assert.is_true(fault.is(result), tostring(result))
  return nil, result
end

-- Returns a spec that receives a folder, the path of a key file to write, that
-- of a file with a passphrase, and the passphrase.
local function with_phrase(fn)
  return support.with_folder(function(folder)
    local file = write(folder .. "/phrase", "open sesame\n")
    local phrase <close> = assert(core.read_passphrase(file))
    fn(folder, folder .. "/key", file, phrase)
  end)
end

describe("a passphrase", function()
  it("is one line of a file", support.with_folder(function(folder)
    local path = folder .. "/phrase"
    local phrases = {}
    for _, text in ipairs({ "one", "one\n", "one\r\n" }) do
      phrases[#phrases + 1] = assert(core.read_passphrase(write(path, text)))
    end
    assert.is_true(phrases[1]:equals(phrases[2]))
    assert.is_true(phrases[1]:equals(phrases[3]))
    assert.is_false(phrases[1]:equals(
      assert(core.read_passphrase(write(path, "two")))))
    assert(core.read_passphrase(write(path, ("x"):rep(1024) .. "\n")))
    for _, text in ipairs({ "", "\n", "\r\n", "a\nb\n", "a\n\n",
      ("x"):rep(1025), ("x"):rep(5000) }) do
      local _, message, code = core.read_passphrase(write(path, text))
      assert.equal("KAD_EINVAL", code)
      assert.equal("a passphrase is one line of 1 to 1024 bytes", message)
    end
  end))

  it("cannot be used once it is closed", with_phrase(function(_, _, _, phrase)
    local sealed = phrase:seal("x", 1, 8)
    phrase:close()
    phrase:close()
    for _, call in ipairs({ function() phrase:seal("x", 1, 8) end,
      function() phrase:open(sealed) end,
      function() phrase:equals(phrase) end }) do
      assert.error_matches(call, "a closed passphrase")
    end
  end))

  it("seals each time in another way", with_phrase(function(_, _, _, phrase)
    local one, two = phrase:seal("x", 1, 8), phrase:seal("x", 1, 8)
    for _, name in ipairs({ "salt", "nonce", "box" }) do
      assert.not_equal(one[name], two[name])
    end
    assert.equal("x", phrase:open(one))
    assert.equal("x", phrase:open(two))
  end))

  it("is derived within bounds", with_phrase(function(_, _, _, phrase)
    for _, cost in ipairs({ { 0, 8 }, { -1, 8 }, { 1, 7 }, { 1, 1048577 },
      { 1025, 8 }, { 5, 1048576 }, { math.maxinteger, math.maxinteger },
      { math.mininteger, 8 }, { 4294967297, 8 }, { 1, 4294967304 } }) do
      assert.error_matches(function()
        phrase:seal("x", cost[1], cost[2])
      end, "out of bounds")
    end
  end))
end)

describe("a file with a secret key", function()
  it("is opened by its passphrase", with_phrase(
    function(_, path, file, phrase)
      write(path, sealed_text(phrase))
      assert.same({ publisher = PUBLISHER, secret = SECRET },
        try_read(path, file))
      write(path, "\u{FEFF}" .. sealed_text(phrase):gsub("\n", "\r\n"))
      assert.equal(SECRET, try_read(path, file).secret)
    end))

  it("has strong parameters of the library's choice", with_phrase(
    function(_, path, file, phrase)
      local text = secret.format({ publisher = PUBLISHER, secret = SECRET },
        phrase)
      local passes, memory = text:match("\nargon2id (%d+) (%d+) ")
      assert.same({ "3", "262144" }, { passes, memory })
      assert.is_nil(text:find(core.hex(SECRET):sub(1, 64), 1, true))
      write(path, text)
      assert.equal(SECRET, try_read(path, file).secret)
    end))

  it("is not opened by another passphrase", with_phrase(
    function(folder, path, _, phrase)
      write(path, sealed_text(phrase))
      local wrong = write(folder .. "/wrong", "open barley\n")
      local _, problem = try_read(path, wrong)
      assert.equal("--key " .. path .. ": wrong passphrase, or a damaged file",
        problem.message)
      assert.equal(1, problem.status)
      assert.equal("KAD_EACCESS", problem.code)
    end))

  it("is refused if it is cut anywhere", with_phrase(
    function(_, path, file, phrase)
      local text = sealed_text(phrase)
      for len = 0, #text - 2 do -- without the last newline it is whole
        write(path, text:sub(1, len))
        local pair, problem = try_read(path, file)
        assert.is_nil(pair)
        assert.is_true(#problem.message > #path)
      end
    end))

  it("is refused if a byte of it is changed", with_phrase(
    function(_, path, file, phrase)
      local text = sealed_text(phrase)
      for at = 1, #text - 1 do
        local byte = text:sub(at, at)
        for _, other in ipairs({ byte == "0" and "1" or "0", "!", "\0" }) do
          write(path, text:sub(1, at - 1) .. other .. text:sub(at + 1))
          assert.is_nil(try_read(path, file), at)
        end
      end
    end))

  it("is refused without much work if its parameters are hostile", with_phrase(
    function(_, path, file, phrase)
      for _, cost in ipairs({ { 0, 8 }, { 1, 0 }, { 1, 7 }, { 1, 1048577 },
        { 1025, 8 }, { 999999999, 999999999 }, { 5, 1048576 },
        { "9999999999", 8 }, { 1, ("9"):rep(40) }, { ("0"):rep(100), 8 } }) do
        write(path, sealed_text(phrase,
          { passes = cost[1], memory_kib = cost[2] }))
        local _, problem = try_read(path, file)
        assert.matches("--key " .. path .. ": not a secret key file of "
          .. "`kadenza keygen`: it ", problem.message, 1, true)
        assert.equal(2, problem.status)
      end
    end))

  it("is refused if it has another public key", with_phrase(
    function(_, path, file, phrase)
      write(path, sealed_text(phrase, { publisher = ("p"):rep(32) }))
      local _, problem = try_read(path, file)
      assert.matches("its keys do not match", problem.message, 1, true)
    end))

  it("of a newer version is refused as such", with_phrase(
    function(_, path, file, phrase)
      for _, version in ipairs({ "2", ("9"):rep(30) }) do
        write(path, (sealed_text(phrase):gsub("key 1", "key " .. version)))
        local _, problem = try_read(path, file)
        assert.matches("a newer version of kadenza has made it",
          problem.message, 1, true)
      end
    end))

  it("without a passphrase needs none", with_phrase(
    function(_, path, file)
      write(path, secret.format({ publisher = PUBLISHER, secret = SECRET }))
      assert.equal(SECRET, try_read(path).secret)
      local _, problem = try_read(path, file)
      assert.matches("has no passphrase", problem.message, 1, true)
    end))

  it("that others can read is used with a warning", with_phrase(
    function(_, path)
      write(path, secret.format({ publisher = PUBLISHER, secret = SECRET }))
      assert.same({}, support.logged(function() try_read(path) end))
      for _, mode in ipairs({ "640", "604", "620", "602" }) do
        os.execute("chmod " .. mode .. " " .. path)
        local events = support.logged(function()
          assert.equal(SECRET, try_read(path).secret)
        end)
        assert.equal(1, #events)
        assert.equal(path, events[1].fields.file)
      end
    end))
end)

describe("kadenza keygen", function()
  after_each(process.end_all)

  local function mode(path)
    return process.run({ "-c", "%a", path }, { path = "stat" }).stdout
  end

  it("encrypts with a passphrase that it asks for", support.with_folder(
    function(folder)
      local path = folder .. "/key"
      local done = terminal.run({ "keygen", "--passphrase", path },
        { answers = { "two words", "two words" } })
      assert.equal(0, done.status, done.stdout)
      local lines = terminal.lines(done.stdout)
      assert.equal("New passphrase of " .. path .. ": ", lines[1])
      assert.equal("The same again: ", lines[2])
      assert.matches("^publisher %x+$", lines[3])
      assert.is_nil(done.stdout:find("two words", 1, true))
      assert.is_nil(done.stdout:find("echo is off", 1, true))
      assert.equal("600\n", mode(path))
      local pair = try_read(path, write(folder .. "/phrase", "two words"))
      assert.equal("publisher " .. core.hex(pair.publisher), lines[3])
    end))

  it("writes no file if the passphrases differ or are none",
    support.with_folder(function(folder)
      for message, answers in pairs({
        ["the two passphrases differ"] = { "one", "two" },
        ["a passphrase is one line of 1 to 1024 bytes"] = { "" },
        ["passphrase: canceled"] = { "^D" },
      }) do
        local done = terminal.run({ "keygen", "--passphrase",
          folder .. "/key" }, { answers = answers })
        assert.equal(1, done.status)
        assert.matches(message, done.stdout, 1, true)
        assert.is_nil(done.stdout:find("echo is off", 1, true))
        assert.is_false(core.exists(folder .. "/key"))
      end
    end))

  it("ends by Ctrl-C at the prompt, and the terminal shows input again",
    support.with_folder(function(folder)
      local done = terminal.run({ "keygen", "--passphrase", folder .. "/key" },
        { answers = { "^C" } })
      assert.equal(128 + 2, done.status)
      assert.is_nil(done.stdout:find("echo is off", 1, true))
      assert.is_false(core.exists(folder .. "/key"))
    end))

  it("needs a file for the passphrase without a terminal",
    support.with_folder(function(folder)
      local done = process.run({ process.program(), "keygen", "--passphrase",
        folder .. "/key" }, { path = "setsid" })
      assert.equal(2, done.status)
      assert.equal("kadenza: --passphrase-file FILE is needed for the "
        .. "passphrase: there is no terminal to ask for it\n", done.stderr)
      assert.is_false(core.exists(folder .. "/key"))
    end))

  it("changes the passphrase of a file", support.with_folder(function(folder)
    local path = folder .. "/key"
    local old, new = write(folder .. "/old", "old"), write(folder .. "/new",
      "new")
    local made = process.run({ "keygen", path }).stdout
    for _, args in ipairs({ { "--new-passphrase-file", old },
      { "--passphrase-file", old, "--new-passphrase-file", new } }) do
      local done = process.run({ "keygen", "--change-passphrase", path,
        table.unpack(args) })
      assert.equal("", done.stderr)
      assert.equal(made, done.stdout)
      assert.equal("600\n", mode(path))
    end
    assert.is_nil(try_read(path, old))
    assert.equal(made, "publisher "
      .. core.hex(try_read(path, new).publisher) .. "\n")
    local before = read(path)
    local wrong = process.run({ "keygen", "--change-passphrase", path,
      "--passphrase-file", old, "--new-passphrase-file", new })
    assert.equal(1, wrong.status)
    assert.equal(before, read(path))
  end))

  it("leaves a file unchanged that exists", support.with_folder(
    function(folder)
      local path = write(folder .. "/key", "precious")
      local phrase = write(folder .. "/phrase", "x")
      for _, args in ipairs({ { "keygen", path },
        { "keygen", path, "--passphrase-file", phrase } }) do
        assert.equal(1, process.run(args).status)
        assert.equal("precious", read(path))
      end
      local _, _, code = core.create_file(path, "other")
      assert.is_string(code)
      assert.equal("precious", read(path))
      os.execute("ln -s nowhere " .. folder .. "/link")
      assert.is_nil((core.create_file(folder .. "/link", "x")))
      assert.is_false(core.exists(folder .. "/nowhere"))
    end))

  it("refuses options that do not fit together", function()
    for text, args in pairs({
      ["--change-passphrase needs FILE"] = { "--change-passphrase" },
      ["--new-passphrase-file is for --change-passphrase"] =
        { "f", "--new-passphrase-file", "p" },
      ["--passphrase is for a new FILE"] =
        { "f", "--passphrase", "--change-passphrase" },
      ["a passphrase needs FILE"] = { "--passphrase" },
      ["--passphrase asks for what --passphrase-file has"] =
        { "f", "--passphrase", "--passphrase-file", "p" },
      ["--passphrase-file /nonexistent: open: No such file or directory"] =
        { "f", "--passphrase-file", "/nonexistent" },
      ["--passphrase-file /dev/null: a passphrase is one line"] =
        { "f", "--passphrase-file", "/dev/null" },
    }) do
      table.insert(args, 1, "keygen")
      local done = process.run(args)
      assert.matches(text, done.stderr, 1, true)
      assert.equal(2, done.status)
    end
  end)
end)

describe("kadenza put", function()
  after_each(process.end_all)

  it("signs with an encrypted key", support.with_folder(function(folder)
    local path, file = folder .. "/key", write(folder .. "/phrase", "p q")
    local node = process.start_node()
    process.run({ "keygen", path, "--passphrase-file", file })
    local publisher = read(path):match("publisher (%x+)")
    local to = { "--bootstrap", node.address, "--allow-local" }
    local function with(...)
      return table.move(to, 1, 3, select("#", ...) + 1, { ... })
    end
    local asked = terminal.run(with("put", "a", "typed", "--key", path),
      { answers = { "p q" } })
    assert.equal(0, asked.status, asked.stdout)
    assert.equal("Passphrase of " .. path .. ": ",
      terminal.lines(asked.stdout)[1])
    local put = process.run(with("put", "b", "of a file", "--key", path,
      "--passphrase-file", file))
    assert.same({ "", 0 }, { put.stderr, put.status })
    for _, key in ipairs({ "a", "b" }) do
      local got = process.run(with("get", key, "--json")).stdout
      assert.equal(publisher, got:match('"publisher":"(%x+)"'))
    end
    local lone = process.run(with("put", "a", "x", "--passphrase-file", file))
    assert.equal("kadenza: --passphrase-file is for --key\n", lone.stderr)
    assert.equal(2, lone.status)
  end))
end)

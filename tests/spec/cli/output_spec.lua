-- Also tests what commands read: files with a byte order mark or a `#!` line,
-- and lists with names that contain blanks.

local core = require("kadenza.core")
local input = require("kadenza.cli.input")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")
local terminal = require("tests.spec.support.terminal")
local bytes = require("tests.spec.support.bytes")

-- Text of another node that a terminal must not get.
local EVIL <const> = "\27]0;title\7\27[2J\u{9B}2J\155A\u{202E}\u{2066}\255\r\8"
  .. "\u{200B}end"
local SHOWN <const> = "\\x1b]0;title\\x07\\x1b[2J\\u{9b}2J\\x9bA\\u{202e}"
  .. "\\u{2066}\\xff\\x0d\\x08\\u{200b}end"

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

-- Returns what jq finds in a document.
local function jq(filter, text)
  local done = process.run({ "-r", filter }, { path = "jq", stdin = text })
  assert.equal("", done.stderr)
  return (done.stdout:gsub("\n$", ""))
end

local POLICY <const> = [[
return { name = "p", version = 1,
  rpc = { evil = function() return nil, EVIL, 250 end },
  types = { t = { validate = function(record)
    if record.value ~= "good" then
      require("kadenza").log.warn(EVIL, { evil = EVIL, [EVIL] = "x\\" })
      return nil, EVIL
    end
    return true
  end } },
  samples = { types = { t = { "good", "bad" } } },
}]]

local function policy_text()
  return (POLICY:gsub("EVIL", function()
    return ("%q"):format(EVIL):gsub("\r", "\\r"):gsub("\\\n", "\\n")
  end))
end

describe("the output of", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  -- Returns a node whose policy sends EVIL, and the flags to reach it.
  local function start_node(args)
    write(folder .. "/p.lua", policy_text())
    local all = { "--policy", folder .. "/p.lua" }
    local node = process.start_node(table.move(args or {}, 1, #(args or {}), 3,
      all))
    return node, { "--bootstrap", node.address, "--allow-local" }
  end

  local function with(flags, ...)
    local args = { ... }
    return table.move(flags, 1, #flags, #args + 1, args)
  end

  it("every command with a path that is no text", function()
    local path = folder .. "/a\255" .. EVIL .. ".lua"
    for _, args in ipairs({
      { "run", path }, { "run", "--policy", path }, { "check", path },
      { "sim", path }, { "put", "k", "v", "--key", path },
      { "id", "--state", path }, { "keygen", path .. "/x" },
      { "new", "policy", EVIL }, { "new", "policy", "x", "--folder",
        "/proc/" .. EVIL }, { "get", "k", "--bootstrap", EVIL },
      { "ping", EVIL }, { EVIL }, { "get", "--" .. EVIL },
      { "run", "--state", "/dev/null/" .. EVIL, "--listen", "127.0.0.1:0" },
    }) do
      local done = process.run(args)
      assert.is_true(done.status == 1 or done.status == 2, done.stderr)
      assert.is_true(bytes.is_harmless(done.stderr), done.stderr)
      args[#args + 1] = "--json"
      done = process.run(args)
      assert.is_true(#jq(".error", done.stdout) > 4)
      assert.is_true(bytes.is_harmless(done.stdout .. done.stderr))
    end
  end)

  it("a mistake is JSON if the command line or the environment says so",
    function()
      local JSON <const> = { KADENZA_JSON = "on" }
      for _, case in ipairs({
        { args = { "get", "--nope", "--json" } },
        { args = { "get", "--nope" }, env = JSON },
        { args = { "get", "--nope", "--", "--json" }, env = JSON },
        { args = { "nope" }, env = JSON },
      }) do
        local done = process.run(case.args, { env = case.env })
        assert.equal(2, done.status)
        assert.equal("KAD_EINVAL", jq(".code", done.stdout))
      end
      for _, env in ipairs({ {}, { KADENZA_JSON = "off" },
        { KADENZA_JSON = "?" } }) do
        local done = process.run({ "get", "--nope", "--", "--json" },
          { env = env })
        assert.equal("", done.stdout)
      end
    end)

  it("an error as JSON has every byte", function()
    local path = folder .. "/a\255\u{202E}"
    local done = process.run({ "id", "--state", path, "--json" })
    local hex = jq(".error_hex", done.stdout)
    assert.is_truthy(core.unhex(hex):find(path, 1, true))
    assert.is_truthy(jq(".error", done.stdout):find("a\u{FFFD}\u{202E}", 1,
      true))
  end)

  it("a value of another node on a terminal, and byte for byte in a pipe",
    function()
      local _, flags = start_node()
      local put = process.run(with(flags, "put", "k", "-"), { stdin = EVIL })
      assert.equal(0, put.status, put.stderr)

      assert.equal(EVIL, process.run(with(flags, "get", "k")).stdout)
      assert.equal(EVIL .. "\n",
        process.run(with(flags, "get", "k", "--all")).stdout)
      local on_terminal = terminal.run(with(flags, "get", "k"))
      assert.equal(SHOWN .. "\r\n", on_terminal.stdout)
      on_terminal = terminal.run(with(flags, "get", "k", "--all"))
      assert.equal(SHOWN .. "\r\n", on_terminal.stdout)
      local document = process.run(with(flags, "get", "k", "--json")).stdout
      assert.equal(core.hex(EVIL), jq(".value_hex", document))
      document = process.run(with(flags, "get", "k", "--all",
        "--json")).stdout
      assert.equal(core.hex(EVIL), jq(".values[0].value_hex", document))
    end)

  it("the refusal of another node, and the log of its policy", function()
    local node, flags = start_node()
    local done = process.run(with(flags, "put", "k", "bad", "--type", "t",
      "--policy", folder .. "/p.lua"))
    assert.equal(1, done.status)
    assert.is_true(bytes.is_harmless(done.stderr), done.stderr)
    node:kill("sigterm")
    node:wait()
    assert.is_true(bytes.is_harmless(node.stderr), node.stderr)
  end)

  it("the log of a policy as JSON has every byte", function()
    local node, flags = start_node({ "--json" })
    process.run(with(flags, "put", "k", "bad", "--type", "t", "--policy",
      folder .. "/p.lua"))
    node:kill("sigterm")
    node:wait()
    for line in node.stderr:gmatch("[^\n]+") do
      assert.matches("^%d+%-", jq(".time", line))
    end
    assert.is_true(bytes.is_harmless(node.stderr))
  end)

  it("a policy's log cuts a long text between characters", function()
    write(folder .. "/long.lua", [[
      local text = "x" .. ("é"):rep(2000)
      return { name = "p", version = 1, on_start = function()
        require("kadenza").log.info(text, { field = text })
        error(text)
      end }]])
    local node = process.start_node({ "--policy", folder .. "/long.lua" })
    node:wait_for("a policy failed", "stderr")
    node:kill("sigterm")
    node:wait()
    assert.matches("xéé+", node.stderr)
    assert.is_nil(node.stderr:find("_hex", 1, true))
  end)

  it("check, with texts of the script", function()
    write(folder .. "/p.lua", policy_text())
    local done = process.run({ "check", folder .. "/p.lua", "--seconds", "10" })
    assert.is_true(bytes.is_harmless(done.stdout), done.stdout)
    assert.is_truthy(done.stdout:find(SHOWN, 1, true))
    done = process.run({ "check", folder .. "/p.lua", "--seconds", "10",
      "--json" })
    assert.is_true(bytes.is_harmless(done.stdout), done.stdout)
    assert.is_truthy(jq(".samples[].rejections[].reason", done.stdout)
      :find(SHOWN, 1, true))
  end)

  it("the dump of a configuration, which reads as the same", function()
    write(folder .. "/node.lua", '{ state = "' .. EVIL:gsub("\r", "\\r")
      .. '", log = "off" }')
    local dumped = process.run({ "run", folder .. "/node.lua",
      "--dump-config" })
    assert.equal(0, dumped.status, dumped.stderr)
    assert.is_true(bytes.is_harmless(dumped.stdout))
    write(folder .. "/again.lua", dumped.stdout)
    local again = process.run({ "run", folder .. "/again.lua",
      "--dump-config" })
    assert.equal(dumped.stdout, again.stdout)
  end)
end)

describe("files with a byte order mark and a #! line", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local STARTS <const> = { "\u{FEFF}", "#!/usr/bin/env lua5.4\n",
    "\u{FEFF}#!/usr/bin/env lua5.4\r\n", "\u{FEFF}\r\n" }

  it("are read: policies, modules, scenarios, configurations",
    function()
      for _, start in ipairs(STARTS) do
        local function add(name, text)
          write(folder .. "/" .. name, start .. text:gsub("\n", "\r\n"))
        end
        add("part.lua", "return { name = 'p' }\n")
        add("p.lua", "local part = require('part')\n"
          .. "return { name = part.name, version = 1 }\n")
        add("t.lua", "return { name = require('part').name .. 't',\n"
          .. "version = 1, on_start = function() io.stderr:write('up') end }")
        add("s.lua", "return { name = 's', summary = 'x', nodes = 3,\n"
          .. "hours = 0.01,\n"
          .. "network = { policies = { '" .. folder .. "/p.lua' } } }\n")
        add("node.lua", "return { -- a comment\n policies = { 'p.lua' }, }\n")
        for _, args in ipairs({ { "check", "p.lua", "--seconds", "1" },
          { "check", "t.lua", "--trust", "t.lua", "--seconds", "1" },
          { "sim", "s.lua" }, { "run", "node.lua", "--dump-config" } }) do
          local done = process.run(args, { folder = folder })
          assert.equal(0, done.status, done.stdout .. done.stderr)
        end
        local node = process.start_node({ "node.lua", "--policy", "t.lua",
          "--trust", "t.lua" }, { folder = folder })
        node:kill("sigterm")
        assert.equal(0, node:wait())
      end
    end)

  it("have the lines of the file in messages", function()
    for name, args in pairs({ ["p.lua"] = { "check", "p.lua" },
      ["s.lua"] = { "sim", "./s.lua" }, ["c.lua"] = { "run", "c.lua" } }) do
      write(folder .. "/" .. name, "\u{FEFF}#!/bin/x\n\n@\n")
      local done = process.run(args, { folder = folder })
      assert.equal(2, done.status)
      assert.matches(name .. ":3:", done.stderr, 1, true)
    end
  end)

  it("are read: files with a secret key", function()
    process.run({ "keygen", folder .. "/key" })
    local file <close> = assert(io.open(folder .. "/key", "rb"))
    local text = file:read("a"):gsub("\n", "\r\n")
    write(folder .. "/key2", "\u{FEFF}" .. text)
    local done = process.run({ "put", "k", "v", "--key", folder .. "/key2",
      "--bootstrap", "127.0.0.1:1", "--allow-local", "--query-ms", "50" })
    assert.matches("could not join", done.stderr)
  end)
end)

describe("a list in the environment", function()
  after_each(process.end_all)

  local LIST <const> = { kind = "list" }

  it("has items with blanks, commas and quotes in quotes", function()
    for text, items in pairs({
      ["a b,c\td\ne"] = { "a", "b", "c", "d", "e" },
      ['"a b" c'] = { "a b", "c" },
      ["'a, b','c'"] = { "a, b", "c" },
      [ [["a\"b\\c" 'a\b']] ] = { 'a"b\\c', "a\\b" },
      ["it's.lua"] = { "it's.lua" },
      ['a"b"'] = { 'a"b"' },
      [" , "] = {},
      ['""'] = { "" },
    }) do
      assert.same(items, input.parse(LIST, text))
    end
    for _, text in ipairs({ '"a', "'a b", '"a"b', '"', "x 'y" }) do
      local items, problem = input.parse(LIST, text)
      assert.is_nil(items)
      assert.matches("quotes", problem)
    end
  end)

  it("gives every name back that is quoted", function()
    for _, text in ipairs(bytes.random(500)) do
      local quoted = '"' .. text:gsub('["\\]', "\\%0") .. '"'
      assert.same({ text, text },
        input.parse(LIST, quoted .. ", " .. quoted))
    end
  end)

  it("names policies with blanks", support.with_folder(function(folder)
    write(folder .. "/my policy.lua", "return { name = 'p', version = 1 }")
    local done = process.run({ "run", "--dump-config" }, { folder = folder,
      env = { KADENZA_POLICIES = "'my policy.lua'" } })
    assert.matches('policies = { "my policy.lua" }', done.stdout, 1, true)
    done = process.run({ "run", "--dump-config" }, { folder = folder,
      env = { KADENZA_POLICIES = "'my policy.lua" } })
    assert.equal(2, done.status)
    assert.matches("^kadenza: KADENZA_POLICIES has quotes that are not closed",
      done.stderr)
  end))
end)

-- Tests .ci/deps, tests/spec/support/process.lua.

local process = require("support.process")
local support = require("support")

-- What a host without any package of kadenza has.
local TOOLS <const> = { "sh", "env", "cat", "awk", "sort", "tr", "fold", "sed" }

describe("the dependencies", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
    process.run({ "-c", 'for tool; do ln -s "$(command -v $tool)" "$0"; done',
      folder, table.unpack(TOOLS) }, { path = "/bin/sh" })
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function add_tool(name, text)
    local path = folder .. "/" .. name
    local file = assert(io.open(path, "wb"))
    assert(file:write("#!/bin/sh\n", text, "\n"))
    file:close()
    process.run({ "+x", path }, { path = "/bin/chmod" })
  end

  local function deps(...)
    return process.run({ ".ci/deps", ... }, { path = "/bin/sh",
      env = { PATH = folder, LUA = "lua5.4", CC = "cc",
        DYGRAPHS = folder .. "/none",
        LD_PRELOAD = "" } }) -- the sanitizer of the specs is not for the shell
  end

  -- Returns the packages that a command would install.
  local function packages_of(text, command)
    local list = assert(text:match("\n    " .. command .. " ([^\n]*\\\n.-)\n%S")
      or text:match("\n    " .. command .. " ([^\n]*)\n"), text)
    return " " .. list:gsub("[\\%s]+", " ") .. " "
  end

  it("are listed for packages, whether they are installed or not", function()
    local done = deps("list", "build")
    assert.equal(0, done.status, done.stderr)
    local list = " " .. done.stdout:gsub("\n", " ")
    for _, name in ipairs({ "libuv1-dev", "libsodium-dev", "liblmdb-dev",
      "liblua5.4-dev", "lua-argparse", "pkg-config" }) do
      assert.is_truthy(list:find(" " .. name .. " ", 1, true), name)
    end
    assert.is_nil(list:find("busted", 1, true))
    assert.is_nil(list:find("gnuplot", 1, true))
  end)

  it("are all named in one command, for who may not install", function()
    add_tool("id", "echo 1000")
    add_tool("apt-get", "exit 1")
    local done = deps("build")
    assert.equal(1, done.status)
    local packages = packages_of(done.stderr,
      "apt%-get install %-y %-%-no%-install%-recommends")
    for _, name in ipairs({ "gcc", "libc6-dev", "libuv1-dev", "libsodium-dev",
      "libmd-dev", "liblmdb-dev", "libmicrohttpd-dev", "libedit-dev",
      "libjs-dygraphs",
      "liblua5.4-dev", "lua5.4", "lua-argparse", "lua-dkjson", "pkg-config",
      "gnuplot-nox" })
    do
      assert.is_truthy(packages:find(" " .. name .. " ", 1, true), name)
    end
    for _, name in ipairs({ "lua-busted", "libcmocka-dev", "lua-check" }) do
      assert.is_truthy(done.stderr:find(name, 1, true), name)
    end
    for line in done.stderr:gmatch("[^\n]+") do
      assert.is_true(#line <= 80, line)
    end
  end)

  it("are named when sudo or apt fails", function()
    add_tool("id", "echo 1000")
    add_tool("apt-get", "exit 1")
    add_tool("sudo", "echo you are not in the sudoers file >&2; exit 1")
    local done = deps("build")
    assert.equal(1, done.status)
    assert.matches("not in the sudoers file\n", done.stderr)
    assert.matches("apt%-get install .*libuv1%-dev", done.stderr)
  end)

  it("are named for other package managers", function()
    add_tool("id", "echo 1000")
    local done = deps("build", "test")
    assert.equal(1, done.status)
    assert.matches(" libuv%-devel ", packages_of(done.stderr, "dnf install"))
    assert.matches(" libuv%-dev ", packages_of(done.stderr, "apk add"))
    assert.matches(" lua54%-busted ", packages_of(done.stderr, "pkg install"))
  end)

  it("name the package of a tool that a target needs", function()
    for tool, package in pairs({ luacheck = "lua-check", busted = "lua-busted",
      ["clang-format"] = "clang-format", cppcheck = "cppcheck" })
    do
      local done = deps("tool", tool)
      assert.equal(1, done.status)
      assert.matches("the program " .. tool:gsub("%p", "%%%0") .. " is missing",
        done.stderr)
      assert.matches("Debian: " .. package:gsub("%p", "%%%0") .. " ",
        done.stderr)
    end
    assert.equal(0, deps("tool", "sh").status)
  end)

  it("are named when a test starts one that is missing", function()
    local fine, message = pcall(process.run, {}, { path = "no-such-checker" })
    assert.is_false(fine)
    assert.matches("no%-such%-checker: ENOENT[^;]*; is it installed%?", message)
  end)
end)

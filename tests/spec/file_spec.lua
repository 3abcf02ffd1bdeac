-- Tests bindings/lua/file.c: what is written, and who may read it.

local core = require("kadenza.core")
local kad = require("kadenza")
local support = require("tests.spec.support")

local with_folder = support.with_folder

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

-- Runs a statement of Lua in an interpreter with a umask.
local function run_with_umask(umask, code)
  local lua = os.getenv("LUA") or "lua5.4"
  assert(os.execute(("umask %s && LUA_CPATH='%s' %s -e \"%s\""):format(umask,
    package.cpath, lua, code)))
end

describe("a path with a zero byte", function()
  it("is refused by every function of files", function()
    for _, name in ipairs({ "read_file", "write_file", "make_folder",
      "exists", "read_saved", "lock_file" }) do
      local fine, message = pcall(core[name], "a\0b", 1, 1)
      assert.is_false(fine)
      assert.matches("path", message)
    end
    assert.error_matches(function()
      kad.sim():open({ policies = { "a\0b.lua" } })
    end, "policy 1 has a path with a zero byte")
  end)
end)

describe("core.read_file", function()
  it("refuses what is not a regular file, if asked to", with_folder(
    function(folder)
      assert(os.execute("mkfifo " .. folder .. "/fifo"))
      for _, path in ipairs({ folder .. "/fifo", "/dev/zero" }) do
        local text, message, code = core.read_file(path, 10, "regular")
        assert.is_nil(text)
        assert.equal(path .. ": not a regular file: save it in one", message)
        assert.equal("KAD_EINVAL", code)
      end
    end))
end)

describe("core.write_file and core.make_folder", function()
  it("follow the umask, unless they are private", with_folder(function(folder)
    for umask, modes in pairs({
      ["022"] = { file = "644", folder = "755" },
      ["002"] = { file = "664", folder = "775" },
      ["077"] = { file = "600", folder = "700" },
    }) do
      local path = folder .. "/" .. umask
      run_with_umask(umask, ([[
        local core = require('kadenza.core')
        assert(core.make_folder('%s/shared'))
        assert(core.make_folder('%s/shared/private', 'private'))
        assert(core.write_file('%s/shared/file', 'x'))
        assert(core.write_file('%s/shared/secret', 'x', 'private'))
      ]]):format(path, path, path, path))
      assert.equal(("%s\n%s\n700\n600\n"):format(modes.folder, modes.file),
        output_of(("cd %s/shared && stat -c %%a . file private secret")
          :format(path)))
    end
  end))

  it("write the file that a link leads to", with_folder(function(folder)
    assert(core.make_folder(folder .. "/elsewhere"))
    assert(core.write_file(folder .. "/elsewhere/file", "old"))
    assert(os.execute("ln -s elsewhere/file " .. folder .. "/link"))
    assert(core.write_file(folder .. "/link", "new"))
    assert.equal("new", read(folder .. "/elsewhere/file"))
    assert.equal("elsewhere/file\n",
      output_of("readlink " .. folder .. "/link"))

    assert(os.execute("ln -s nowhere/at/all " .. folder .. "/dangling"))
    local written, message, code =
      core.write_file(folder .. "/dangling", "new")
    assert.is_nil(written)
    assert.equal(folder .. "/dangling: realpath: No such file or directory",
      message)
    assert.equal("KAD_ESYSTEM", code)
  end))

  -- A draft is written first. What lies in its place is not written to.
  for name, command in pairs({
    ["a file"] = "echo old >%s.new",
    ["a FIFO"] = "mkfifo %s.new",
    ["a link"] = "echo kept >%s.victim && ln -s file.victim %s.new",
  }) do
    it("replace " .. name .. " that was left behind",
      with_folder(function(folder)
        local path = folder .. "/file"
        assert(os.execute((command:gsub("%%s", path))))
        assert(core.write_file(path, "new"))
        assert.equal("new", read(path))
        local victim = read(path .. ".victim")
        assert.is_true(victim == nil or victim == "kept\n")
        assert.is_nil(read(path .. ".new"))
      end))
  end

  it("name what is in the way", with_folder(function(folder)
    assert(core.make_folder(folder .. "/file.new"))
    local written, message = core.write_file(folder .. "/file", "new")
    assert.is_nil(written)
    assert.equal(folder .. "/file.new: open: File exists", message)
    written, message = core.write_file(folder, "new")
    assert.is_nil(written)
    assert.equal(folder .. ": rename: Is a directory", message)
    assert.is_nil(read(folder .. ".new"))
  end))

  it("lists the names in a folder", function()
    local folder, remove = support.temporary_folder()
    for _, name in ipairs({ "b", ".a", "c d" }) do
      io.open(folder .. "/" .. name, "w"):close()
    end
    local names = core.list_folder(folder, 10)
    table.sort(names)
    assert.same({ ".a", "b", "c d" }, names)
    assert.equal(2, #core.list_folder(folder, 2))
    local none, message, code = core.list_folder(folder .. "/none", 10)
    assert.is_nil(none)
    assert.equal(folder .. "/none: open: No such file or directory", message)
    assert.equal("KAD_ENOTFOUND", code)
    remove()
  end)
end)

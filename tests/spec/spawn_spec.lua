local core = require("kadenza.core")
local support = require("tests.spec.support")

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

describe("kadenza.core.spawn", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    remove()
  end)

  it("passes arguments unchanged", function()
    local output = folder .. "/output"
    local status = core.spawn({ "printf", "%s|", "a b", "$HOME", "`id`", "" },
      { output = output })

    assert.equal(0, status)
    assert.equal("a b|$HOME|`id`||", read(output))
  end)

  it("connects its streams to files, or to nothing", function()
    local input, output = folder .. "/input", folder .. "/output"
    assert(core.write_file(input, "from a file"))

    assert.equal(0, core.spawn({ "cat" }, { input = input, output = output }))
    assert.equal("from a file", read(output))
    assert.equal(0, core.spawn({ "cat" }, { output = output }))
    assert.equal("", read(output))
  end)

  it("returns the exit status, and keeps the standard error", function()
    local errors = folder .. "/errors"
    local status = core.spawn({ "sh", "-c", "echo no >&2; exit 3" },
      { errors = errors })

    assert.equal(3, status)
    assert.equal("no\n", read(errors))
  end)

  it("names a program that does not exist", function()
    local status, message, code = core.spawn({ "kadenza-no-such-program" })

    assert.is_nil(status)
    assert.equal("kadenza-no-such-program: exec: No such file or directory",
      message)
    assert.equal("KAD_ENOTFOUND", code)
  end)

  it("names the file, not the program, if a stream cannot be opened", function()
    for _, name in ipairs({ "input", "output", "errors" }) do
      local path = folder .. "/none/file"
      local status, message, code = core.spawn({ "true" }, { [name] = path })

      assert.is_nil(status)
      assert.equal(path .. ": open: No such file or directory", message)
      assert.equal("KAD_ESYSTEM", code)
    end
  end)

  it("tells a missing interpreter from a missing program", function()
    local path = folder .. "/script"
    assert(core.write_file(path, "#!/nonexistent/lua\n"))
    assert.equal(0, core.spawn({ "chmod", "+x", path }))

    local status, message, code = core.spawn({ path })

    assert.is_nil(status)
    assert.equal(path .. ": exec of its interpreter: No such file or directory",
      message)
    assert.equal("KAD_ESYSTEM", code)
  end)

  it("names the signal that ended a program", function()
    local status, message, code = core.spawn({ "sh", "-c", "kill -9 $$" })

    assert.is_nil(status)
    assert.equal("sh: ended by signal 9", message)
    assert.equal("KAD_ESYSTEM", code)
  end)

  it("ends a program that takes too long", function()
    local status, message, code =
      core.spawn({ "sleep", "1000" }, { timeout = 1 })

    assert.is_nil(status)
    assert.equal("sleep: did not end within 1 s", message)
    assert.equal("KAD_ETIMEOUT", code)
  end)

  it("refuses what is not a list of strings", function()
    for _, argv in ipairs({ {}, { 1 }, { "a", true }, { "a\0b" } }) do
      assert.has_error(function()
        core.spawn(argv)
      end)
    end
    assert.error_matches(function()
      core.spawn({ "true" }, { shell = true })
    end, "shell")
    assert.error_matches(function()
      core.spawn({ "true" }, { timeout = 0 })
    end, "timeout")
  end)

  it("is not available to policies, not even to trusted ones",
    support.spec(function()
      local kad = require("kadenza")
      assert(core.write_file(folder .. "/policy.lua", [[
        local fine, module = pcall(require, "kadenza.core")
        assert(not fine or module.spawn == nil, "spawn")
        assert(not pcall(require("kadenza").spawn, { "true" }), "a program")
        return {}
      ]]))
      local net <close> = kad.sim({ join = false })
      for _, trusted in ipairs({ false, true }) do
        assert(net:open({ policies = {
          { file = folder .. "/policy.lua", trusted = trusted } } }))
      end
    end))
end)

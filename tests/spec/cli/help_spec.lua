local cli = require("kadenza.cli")

local process = require("tests.spec.support.process")

describe("kadenza help", function()
  after_each(process.end_all)

  it("prints what --help prints", function()
    local done = process.run({ "help" })
    assert.equal(0, done.status)
    assert.equal(process.run({ "--help" }).stdout, done.stdout)
  end)

  it("prints what COMMAND --help prints, for each command", function()
    for _, command in ipairs(cli.commands()) do
      local done = process.run({ "help", command.name })
      assert.equal(0, done.status, command.name)
      assert.equal("", done.stderr)
      assert.equal(process.run({ command.name, "--help" }).stdout, done.stdout)
      assert.matches("^Usage: kadenza " .. command.name, done.stdout)
    end
  end)

  it("suggests a command for a name that it does not know", function()
    local done = process.run({ "help", "anounce" })
    assert.equal(2, done.status)
    assert.equal("kadenza: there is no command 'anounce'; did you mean "
      .. "'announce'?\nTry 'kadenza --help'.\n", done.stderr)
    assert.equal("", done.stdout)

    done = process.run({ "help", "qqqqqq" })
    assert.equal(2, done.status)
    assert.equal("kadenza: there is no command 'qqqqqq'\n"
      .. "Try 'kadenza --help'.\n", done.stderr)
  end)

  it("ignores the environment", function()
    local done = process.run({ "help", "run" }, { env = { KADENZA_K = "x" } })
    assert.equal(0, done.status)
  end)
end)

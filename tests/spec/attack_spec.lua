-- Tests tests/check/attack, and the arguments of attackers in C.

local process = require("support.process")
local support = require("support")

describe("an attacker", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function run(path, ...)
    local done = process.start({ ... }, { path = path, env = {
      LD_PRELOAD = "", -- the sanitizer of the specs is not for it
      ATTACK_SEED = "7", ATTACK_SECONDS = "1",
    } })
    done:wait()
    return done
  end

  -- Runs an attacker whose body is `text`. It is called fake_attack.
  local function check(text)
    local path = folder .. "/fake_attack"
    local file = assert(io.open(path, "wb"))
    assert(file:write("#!/bin/sh\n", text, "\n"))
    file:close()
    assert(os.execute("chmod +x " .. path))
    return run("/bin/sh", "tests/check/attack", path)
  end

  it("passes with its last line", function()
    local done = check("echo attack fake: seed 7, 12 cases, 0 failures")
    assert.equal("1..1\nok 1 - fake: seed 7, 12 cases, 0 failures\n",
      done.stdout)
  end)

  it("is given a seed and a time", function()
    local done = check('echo "attack fake: $*"; exit 3')
    assert.equal("1..1\nnot ok 1 - fake: --seed 7 --seconds 1\n", done.stdout)
  end)

  it("fails without a case, with a failure, and when it ends early", function()
    for _, text in ipairs({
      "echo attack fake: seed 7, 0 cases, 0 failures",
      "echo attack fake: seed 8, 5 cases, 0 failures",
      "echo attack fake: seed 7, 5 cases, 1 failures; exit 1",
      "echo attack fake: seed 7, 5 cases, 0 failures; exit 1",
      "echo why; kill -9 $$",
    }) do
      local done = check(text)
      assert.matches("^1..1\nnot ok 1 %- fake: ", done.stdout)
      assert.not_equal("", done.stderr)
    end
  end)

  -- On a busy machine a case may take long, but not much of the processor.
  it("in Lua has a limit of processor time for its cases", function()
    local path = folder .. "/limited.lua"
    local file = assert(io.open(path, "wb"))
    assert(file:write([[
      require("tests.attack.lua.attacker").run({ name = "limited", steps = 1,
        begin = function() return setmetatable({}, { __close = function() end })
        end, step = function() end, finish = function()
          local shell <close> = io.popen("ulimit -S -t")
          error("seconds: " .. shell:read("l"))
        end })
    ]]))
    file:close()
    local done = process.start({ path, "--cases", "1" }, { path = "lua5.4",
      folder = folder, env = { LD_PRELOAD = "",
        LUA_PATH = process.folder() .. "/?.lua;;" } })
    done:wait()
    assert.equal(1, done.status)
    assert.matches("seconds: 70\n", done.stdout)
  end)

  local DATAGRAMS <const> = (os.getenv("BUILD") or "build")
    .. "/tests/attack/datagrams_attack"

  it("in C plays as many cases as it is told to", function()
    local done = run(DATAGRAMS, "--seed", "5", "--cases", "3")
    assert.equal("attack datagrams: seed 5, 3 cases, 0 failures\n", done.stdout)
    assert.equal(0, done.status)
  end)

  it("in C plays a case the same way again, and from a file", function()
    local first = run(DATAGRAMS, "--case", "1234")
    assert.matches("attack datagrams: case 1234, %d+ steps: no failure",
      first.stdout)
    assert.equal(first.stderr, run(DATAGRAMS, "--case", "1234").stderr)
    local path = folder .. "/datagrams-9.bin"
    local file = assert(io.open(path, "wb"))
    assert(file:write(string.pack(">I8I8I8", 9, 77, 78)))
    file:close()
    local done = run(DATAGRAMS, "--file", path)
    assert.equal("attack datagrams: case 9, 2 steps: no failure\n", done.stdout)
    assert.matches("step 1: 77\n", done.stderr)
    assert.equal(2, run(DATAGRAMS, "--file", folder .. "/none").status)
  end)

  it("in C explains its arguments", function()
    for _, given in ipairs({ { "--seed" }, { "--seed", "x" }, { "--no", "1" } })
    do
      local done = run(DATAGRAMS, table.unpack(given))
      assert.equal(2, done.status)
      assert.matches("^usage: ", done.stderr)
    end
  end)
end)

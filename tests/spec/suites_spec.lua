-- Tests tests/suites.

local process = require("support.process")
local support = require("support")

describe("the suites of tests", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function write(name, text)
    local path = folder .. "/" .. name
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    file:close()
    return path
  end

  local function start(env, ...)
    env.TESTS, env.QUICK = env.TESTS or "", env.QUICK or ""
    env.LD_PRELOAD = "" -- the sanitizer of the specs is not for the shell
    return process.start({ "tests/suites", folder .. "/results", ... },
      { path = "/bin/sh", env = env })
  end

  local function run(env, ...)
    local done = start(env, ...)
    done:wait()
    assert.equal("", done.stderr)
    return done
  end

  it("print a line each, with count and time, and a total", function()
    local good = write("good", "echo 1..2; echo ok 1 - a; echo ok 2 - b")
    local done = run({}, "run", "things", "sh", good)
    assert.matches("^things: 2 passed, 0 failed, %d+ s\n$", done.stdout)
    done = run({}, "total")
    assert.equal("total: 2 passed, 0 failed\n", done.stdout)
    assert.equal(0, done.status)
  end)

  it("print what failed, and fail in the total", function()
    local good = write("good", "echo 1..1; echo ok 1 - a")
    local bad = write("bad", "echo 1..2; echo ok 1 - a; echo not ok 2 - b; "
      .. "echo why >&2")
    local done = run({}, "run", "things", "sh", good, bad)
    assert.equal(0, done.status)
    assert.matches("%-%-%- things: %S+/bad %(1 failed, exit status 0%)\n",
      done.stdout)
    assert.matches("\nnot ok 2 %- b\nwhy\n", done.stdout)
    assert.matches("\nthings: 2 passed, 1 failed, %d+ s\n$", done.stdout)
    assert.equal(1, run({}, "total").status)
  end)

  it("count a file that prints no plan, or too few results", function()
    local silent = write("silent", "exit 0")
    local short = write("short", "echo 1..3; echo ok 1 - a")
    local done = run({}, "run", "things", "sh", silent, short)
    assert.matches("\nthings: 1 passed, 3 failed, ", done.stdout)
  end)

  it("say how far they are", function()
    local slow = write("slow", "sleep 2.5; echo 1..1; echo ok 1 - a")
    local done = run({ PROGRESS_SECONDS = "1" }, "run", "things", "sh", slow)
    assert.matches("^things: 0 of 1 files, 0 passed, 0 failed, %d+ s\n",
      done.stdout)
    for line in done.stdout:gmatch("[^\n]+") do
      assert.is_true(#line <= 79, line)
    end
  end)

  it("print nothing for a suite without a chosen file", function()
    local good = write("good", "echo 1..1; echo ok 1 - a")
    assert.equal("", run({ TESTS = "nothing" }, "run", "a", "sh", good).stdout)
    assert.matches("^b: 1 passed",
      run({ TESTS = "goo" }, "run", "b", "sh", good).stdout)
    assert.equal(0, run({ TESTS = "goo" }, "total").status)
  end)

  it("leave out the slow files in a quick run, which all exist", function()
    local count = 0
    for line in io.lines("tests/slow") do
      local path = line:match("^([^# ]+)")
      if path then
        count = count + 1
        local source = path:find("_test$") and path .. ".c" or path
        local file = assert(io.open(source), source)
        file:close()
        local done = run({ QUICK = "yes", BUILD = "build/asan" }, "run", "a",
          "false", path, "build/asan/" .. path)
        assert.equal("", done.stdout)
      end
    end
    assert.is_true(count > 0)
    local good = write("good", "echo 1..1; echo ok 1 - a")
    assert.matches("^b: 1 passed",
      run({ QUICK = "yes" }, "run", "b", "sh", good).stdout)
  end)

  it("end their tests when they are ended", function()
    local long = write("long", "trap 'echo end >" .. folder
      .. "/ended; exit' TERM; echo begun >" .. folder .. "/begun; "
      .. "while :; do sleep 0.1; done")
    os.execute("mkdir -p '" .. folder .. "/results/things'")
    local suites = start({}, "file", "things", "sh", long)
    process.run({ "-c", "until [ -e '" .. folder .. "/begun' ]; do sleep 0.05; "
      .. "done" }, { path = "/bin/sh" })
    suites:kill("sigterm")
    suites:wait()
    assert.equal(130, suites.status)
    local file = assert(io.open(folder .. "/ended"))
    file:close()
  end)
end)

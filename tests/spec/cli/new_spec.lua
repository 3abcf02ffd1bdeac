local process = require("support.process")
local support = require("support")

-- Wraps the body of a spec: calls fn(folder) with an empty temporary folder.
local function with_folder(fn)
  return function()
    local folder, remove = support.temporary_folder()
    local _ <close> = setmetatable({}, { __close = remove })
    fn(folder)
  end
end

local function new(folder, ...)
  return process.run({ "new", ... }, { folder = folder })
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function absolute(variable)
  local pattern = (os.getenv(variable) or "")
  return pattern:gsub("%f[^;\0]%.?/?scripts/", process.folder() .. "/scripts/")
    :gsub("%f[^;\0]build", process.folder() .. "/build")
end

-- The commands take long with sanitizers.
local SECONDS <const> = 60

local function run_in(folder, path, ...)
  local program = process.start({ ... }, { folder = folder, path = path,
    env = {
      LUA_PATH = absolute("LUA_PATH"), LUA_CPATH = absolute("LUA_CPATH"),
    } })
  program:wait(SECONDS)
  return program
end

describe("kadenza new policy", function()
  after_each(process.end_all)

  it("makes a folder that passes its own tests, luacheck and kadenza check",
    with_folder(function(folder)
      local made = new(folder, "policy", "guestbook")
      assert.equal("", made.stderr)
      assert.equal("made guestbook. Next:\n  cd guestbook\n  busted\n"
        .. "  kadenza check guestbook.lua\n", made.stdout)
      local inside = folder .. "/guestbook"

      local tests = run_in(inside, "busted")
      assert.equal(0, tests.status, tests.stdout .. tests.stderr)
      assert.is_truthy(tests.stdout:find("4 successes / 0 failures / 0 errors"))

      local trial = run_in(inside, process.program(), "check", "guestbook.lua")
      assert.equal(0, trial.status, trial.stdout .. trial.stderr)
      assert.is_truthy(trial.stdout:find("guestbook.validate +%d"))

      local style = run_in(inside, "luacheck", "--no-color", ".")
      assert.equal(0, style.status, style.stdout)
    end))

  it("makes tests that can fail", with_folder(function(folder)
    new(folder, "policy", "book")
    local path = folder .. "/book/book.lua"
    local text = read(path):gsub('record.value == ""', "false")
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    local tests = run_in(folder .. "/book", "busted")
    assert.equal(1, tests.status)
    assert.is_truthy(tests.stdout:find("Expected the hook to reject", 1, true))
  end))

  it("gives luacheck the globals of the sandbox", with_folder(function(folder)
    new(folder, "policy", "book")
    local settings = {}
    assert(load(read(folder .. "/book/.luacheckrc"), "rc", "t",
      setmetatable(settings, { __index = { files = {} } })))()
    local known = {}
    for key, value in pairs(settings.std.read_globals) do
      known[#known + 1] = type(key) == "string" and key or value
    end
    local wanted = table.move(require("kadenza.sandbox").GLOBALS, 1,
      #require("kadenza.sandbox").GLOBALS, 1, {})
    table.sort(known)
    table.sort(wanted)
    assert.same(wanted, known)
  end))

  it("points editors to the annotated sources, or copies them",
    with_folder(function(folder)
      local found = process.run({ "new", "policy", "found" }, {
        folder = folder,
        env = { LUA_PATH = process.folder() .. "/scripts/?.lua" },
      })
      assert.equal(0, found.status, found.stderr)
      assert.is_truthy(read(folder .. "/found/.luarc.json")
        :find('"' .. process.folder() .. '/scripts"', 1, true))

      local brought = process.run({ "new", "policy", "brought" },
        { folder = folder, env = { LUA_PATH = "./?.lua" } })
      assert.equal(0, brought.status, brought.stderr)
      assert.is_truthy(read(folder .. "/brought/.luarc.json")
        :find('"workspace.library": [".luals"]', 1, true))
      assert.equal(read("scripts/kadenza/policy/types.lua"),
        read(folder .. "/brought/.luals/kadenza/policy/types.lua"))
    end))

  it("overwrites nothing", with_folder(function(folder)
    assert.equal(0, new(folder, "policy", "book").status)
    local before = read(folder .. "/book/book.lua")
    local again = new(folder, "policy", "book")
    assert.equal(1, again.status)
    assert.equal("kadenza: book exists and is left unchanged\n", again.stderr)
    assert.equal(before, read(folder .. "/book/book.lua"))

    local elsewhere = new(folder, "policy", "book", "--folder", "other")
    assert.equal(0, elsewhere.status)
    assert.equal(before, read(folder .. "/other/book.lua"))
  end))

  it("rejects invalid names and writes nothing", with_folder(function(folder)
    for _, name in ipairs({ "Book", "my-book", "../book", "1book", "",
      ("x"):rep(25), "bo.ok" })
    do
      local done = new(folder, "policy", name)
      assert.equal(2, done.status)
      assert.equal("kadenza: NAME must be 1 to 24 of a-z, 0-9 and _, first a "
        .. "letter, not '" .. name .. "'\n", done.stderr)
    end
    assert.equal("kadenza: NAME must not be 'value', a type of the core\n",
      new(folder, "policy", "value").stderr)
    assert.equal("kadenza: NAME must not be 'end', a keyword of Lua\n",
      new(folder, "policy", "end").stderr)
    assert.equal("kadenza: only a policy can be made, not 'thing': kadenza new "
      .. "policy NAME\n", new(folder, "thing", "book").stderr)
    assert.equal("", process.run({ "-A", folder }, { path = "ls" }).stdout)
  end))
end)

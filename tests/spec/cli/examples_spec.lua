-- Tests scripts/examples.

local process = require("support.process")
local support = require("support")

local LUA <const> = os.getenv("LUA") or "lua5.4"
local BUILD <const> = os.getenv("BUILD") or "build"

-- The modules of the tree and of its build.
local ENVIRONMENT <const> = {
  LUA_PATH = "./scripts/?.lua;./scripts/?/init.lua;;",
  LUA_CPATH = BUILD .. "/lua/?.so;;",
}

local function options(more)
  local result = { path = LUA, env = ENVIRONMENT }
  for name, value in pairs(more or {}) do
    result[name] = value
  end
  return result
end

describe("the examples", function()
  after_each(process.end_all)

  it("run (demo)", function()
    local demo = process.start({ "scripts/examples/demo/run" },
      options({ path = "/bin/sh" }))
    assert.equal(0, demo:wait(90), demo.stderr)
    assert.equal("", demo.stderr)
    for _, title in ipairs({
      "An overlay", "A store that is rejected", "A merge of concurrent writes",
      "A query of a policy's own", "A republish", "All of this has happened",
    }) do
      assert.is_truthy(demo.stdout:find("\n" .. title, 1, true), title)
    end
  end)

  it("store and find values (store)", function()
    local node = process.start_node()
    local store = process.run(
      { "scripts/examples/store/store.lua", node.address, "local" },
      options({ stdin = "put a b c\nget a\nget none\nhelp\nquit\n" }))
    assert.equal("", store.stderr)
    assert.equal("stored at 1 nodes\nb c\nnot found\n"
      .. "put KEY VALUE, get KEY or quit\n", store.stdout)
    assert.equal(0, store.status)
  end)

  it("speak JSON (json)", function()
    local json = process.run({ "scripts/examples/json/json.lua" }, options())
    assert.equal("", json.stderr)
    local first, rest = json.stdout:match("^([^\n]*)\n(.*)$")
    assert.equal("{", first:sub(1, 1))
    for _, part in ipairs({ '"kind":"query"', '"method":"ping"',
      '"transaction":"' }) do
      assert.is_truthy(first:find(part, 1, true), first)
    end
    assert.equal("stored at 5 nodes\nsaid in JSON\n", rest)
    assert.equal(0, json.status)
  end)

  it("find each other without a network (pipes)", function()
    local folder, remove = support.temporary_folder()
    local _ <close> = setmetatable({}, { __close = remove })
    local function arguments(...)
      return { "scripts/examples/pipes/pipes.lua", folder .. "/pipes", ... }
    end
    for number = 1, 3 do
      local node = process.start(arguments(tostring(number)), options())
      node:wait_for("node " .. number .. " has joined\n", "stdout")
    end
    local put = process.run(arguments("4", "put", "tea", "oolong"), options())
    assert.equal("", put.stderr)
    assert.equal("stored at 4 nodes\n", put.stdout)
    local got = process.run(arguments("5", "get", "tea"), options())
    assert.equal("oolong\n", got.stdout)
    assert.equal(0, got.status)
    local none = process.run(arguments("4", "get", "coffee"), options())
    assert.equal("pipes: not found\n", none.stdout)
    assert.equal(1, none.status)
    assert.equal(2, process.run(arguments("4", "sing"), options()).status)
  end)

  it("see each other (presence)", function()
    local node = process.start_node({ "--policy", "scripts/policies/chat.lua" })
    local function enter(name)
      return process.start({ "scripts/examples/presence/presence.lua",
        node.address, "lobby", name, "local" }, options())
    end
    local ann = enter("ann")
    ann:wait_for("ann\n", "stdout")
    local bob = enter("bob")
    ann:wait_for("ann, bob\n", "stdout")
    bob:wait_for("ann, bob\n", "stdout")
  end)
end)

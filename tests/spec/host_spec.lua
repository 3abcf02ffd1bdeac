local core = require("kadenza.core")
local host = require("kadenza.host")
local process = require("support.process")
local support = require("support")

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function copy(from, to)
  assert(core.make_folder(to:match("^(.*)/")))
  assert(core.write_file(to, read(from)))
end

describe("kadenza.host", function()
  after_each(process.end_all)

  it("has the source of modules and of what ships", function()
    assert.equal(read("scripts/kadenza/task.lua"), host.source("kadenza.task"))
    assert.equal(read("scripts/kadenza/init.lua"), host.source("kadenza"))
    for _, path in ipairs(host.SHIPPED) do
      assert.equal(read("scripts/" .. path), host.source(path))
    end
  end)

  it("has no source of what does not exist", function()
    assert.is_nil(host.source("kadenza.nothing"))
    assert.is_nil(host.source("policies/nothing.lua"))
    assert.is_nil(host.source("policies/../kadenza/nothing.lua"))
  end)

  it("names what ships", function()
    assert.same({ "blob", "chat", "counter", "pkarr", "pubsub", "registry" },
      host.shipped("policies"))
    assert.equal(9, #host.shipped("scenarios"))
  end)

  it("has the texts of policies by their names only", function()
    assert.equal(read("scripts/policies/chat.lua"), host.policy("chat"))
    for _, name in ipairs({ "chat.lua", "./chat", "", "nothing", false, 1 }) do
      assert.is_nil(host.policy(name))
    end
  end)

  it("knows its process", function()
    assert.is_true(host.pid() > 1)
    assert.is_boolean(host.is_terminal(0))
    assert.has_error(function()
      host.is_terminal(3)
    end)
    assert.equal("kadenza", host.program())
  end)

  -- Where kadenza/host.lua and a policy are: the tree, a rock, an installation.
  for what, folders in pairs({
    ["the tree"] = { "scripts", "scripts/policies" },
    ["a rock"] = { "share/lua/5.4", "share/lua/5.4/kadenza/policies" },
    ["an installation"] = { "share/lua/5.4", "share/kadenza/policies" },
  }) do
    it("finds what ships in " .. what .. ", from another folder", function()
      local root, remove = support.temporary_folder()
      local _ <close> = setmetatable({}, { __close = remove })
      local modules = root .. "/" .. folders[1]
      copy("scripts/kadenza/host.lua", modules .. "/kadenza/host.lua")
      copy("scripts/policies/chat.lua",
        root .. "/" .. folders[2] .. "/chat.lua")
      local done = process.run({ "-e",
        'io.write(require("kadenza.host").policy("chat"))' }, {
        path = os.getenv("LUA") or "lua5.4", folder = root,
        env = { LUA_PATH = modules .. "/?.lua",
          LUA_CPATH = ("%s/%s/lua/?.so"):format(process.folder(),
            os.getenv("BUILD") or "build") },
      })
      assert.equal("", done.stderr)
      assert.equal(read("scripts/policies/chat.lua"), done.stdout)
    end)
  end
end)

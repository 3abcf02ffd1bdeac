--- The files of a new policy, with NAME where its name belongs.

local M = {}

M.policy = [=[
--- NAME: say here what it is for.
--
-- Rules
--   * A value is one line of text: 1 to 200 bytes.
--   * A key holds the newest 16 values, each for a day.

local kad = require("kadenza")

local DAY <const> = 86400

---@param record kadenza.Record
local function validate(record)
  if record.value == "" then
    return nil, "an empty value"
  elseif record.value:find("%c") then
    return nil, "one line of text, please"
  end
  return true
end

-- Answers with what it was sent.
---@param request kadenza.Request
---@param ctx kadenza.Context
local function echo(request, ctx)
  local text = request.args.text
  if type(text) ~= "string" then
    return nil, "text is needed", 203
  end
  kad.log.debug("echo", { from = ctx.from and ctx.from.address })
  return { text = text }
end

---@type kadenza.Policy
local policy = {
  name = "NAME",
  version = 1,
  types = {
    NAME = {
      max_size = 200,
      max_values = 16,
      ttl = DAY,
      validate = validate,
    },
  },
  rpc = {
    NAME_echo = echo,
  },
  -- What `kadenza check` stores and asks.
  samples = {
    types = { NAME = { "hello", "hello again", "two\nlines" } },
    rpc = { NAME_echo = { { text = "hi" }, {} } },
  },
}

return policy
]=]

-- What the tests need is busted's, and none of what the library requires.
M.spec = [=[
local assert = require("]=] .. "luassert" .. [=[")
local kad = require("kadenza")
local testing = require("kadenza.testing")

local FILE <const> =
  (debug.getinfo(1, "S").source:match("^@(.*/)") or "") .. "NAME.lua"

describe("the policy NAME", function()
  ---@type kadenza.testing.Policy
  local policy

  before_each(function()
    policy = assert(testing.load(FILE))
  end)

  after_each(function()
    policy:close()
  end)

  local function validate(value)
    return policy:call("types.NAME.validate", { value = value })
  end

  it("takes a line of text", function()
    assert.accepted(validate("hello"))
  end)

  it("refuses what is none", function()
    assert.rejected(validate(""), "an empty value", 201)
    assert.rejected(validate("two\nlines"), "one line of text, please", 201)
  end)

  it("echoes", function()
    local from = { from = testing.contact() }
    local answer = policy:call("rpc.NAME_echo", { text = "hi" }, from)
    assert.same({ text = "hi" }, answer.reply)
    assert.rejected(policy:call("rpc.NAME_echo", {}, from), "text is needed",
      203)
  end)

  it("keeps values for a day, also when a node is lost", function()
    local overlay <close> =
      testing.overlay({ nodes = 20, policies = { FILE } })
    overlay:perform(function()
      local key, wishes = kad.key("test"), { type = "NAME" }
      assert(overlay.nodes[1]:put(key, "hello", wishes))
      assert.holders(8, overlay, key, "NAME")
      assert.converged(overlay, key, "NAME")

      overlay:kill(overlay:holders(key, "NAME")[1].node)
      assert.equal("hello", (overlay.nodes[2]:get(key, wishes)))

      kad.sleep(2 * 86400) -- virtual: it takes no time
      assert.holders(0, overlay, key, "NAME")
    end)
  end)
end)
]=]

M.readme = [=[
# NAME

A policy for kadenza, a Kademlia DHT node: say here what it is for.

| file | what it is |
|---|---|
| `NAME.lua` | the policy |
| `NAME_spec.lua` | its tests |
| `.busted`, `.luacheckrc`, `.luarc.json` | settings of busted, luacheck, editors |

Run these in this folder:

    # the tests; kadenza has to be installed
    busted
    # what the sandbox does not have, and more
    luacheck .
    # a trial with 50 nodes in virtual time
    kadenza check NAME.lua
    # a node
    kadenza run --policy NAME.lua --listen 127.0.0.1:7001 --allow-local

In another terminal:

    kadenza put greeting hello --type NAME --policy NAME.lua \
      --bootstrap 127.0.0.1:7001 --allow-local
    kadenza get greeting --type NAME --policy NAME.lua \
      --bootstrap 127.0.0.1:7001 --allow-local

`kill -HUP` lets a running node load a changed policy; when something is wrong
with it, the old one stays.
]=]

M.busted = [=[
return {
  default = {
    ROOT = { "." },
    pattern = "_spec",
    lua = "LUA",
  },
}
]=]

M.luacheckrc = [=[
-- A policy sees what its sandbox has, and nothing else.
std = {
  globals = {},
  read_globals = {
GLOBALS
  },
}
cache = false
exclude_files = { ".luals" }
files["*_spec.lua"] = { std = "lua54+busted" }
files[".busted"] = { std = "lua54" }
]=]

M.luarc = [=[
{
  "runtime.version": "Lua 5.4",
  "workspace.library": ["LIBRARY"],
  "workspace.checkThirdParty": false,
  "diagnostics.globals": [
    "describe", "it", "before_each", "after_each", "assert"
  ]
}
]=]

return M

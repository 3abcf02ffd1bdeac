--- The files of a new policy. NAME stands for its name.
--- Tested by tests/spec/cli/new_spec.lua.

local M = {}

M.policy = [=[
--- NAME: describe its purpose here.
--
-- Rules
--   * A value is one line of text: 1 to 200 bytes.
--   * A key holds the newest 16 values, each for a day.

local kad = require("kadenza")

local DAY <const> = 86400

---@param record kadenza.Record
local function validate(record)
  if record.value == "" then
    return nil, "the value is empty"
  elseif record.value:find("%c") then
    return nil, "the value is not one line of text"
  end
  return true
end

-- Replies with the text of the query.
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
  -- Records that `kadenza check` stores, and arguments of its queries.
  samples = {
    types = { NAME = { "hello", "hello again", "two\nlines" } },
    rpc = { NAME_echo = { { text = "hi" }, {} } },
  },
}

return policy
]=]

-- The require of luassert is split: checks that read the requires of this file
-- must not find it.
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

  it("accepts a line of text", function()
    assert.accepted(validate("hello"))
  end)

  it("rejects other values", function()
    assert.rejected(validate(""), "the value is empty", 201)
    assert.rejected(validate("two\nlines"), "not one line of text", 201)
  end)

  it("echoes", function()
    local from = { from = testing.contact() }
    local result = policy:call("rpc.NAME_echo", { text = "hi" }, from)
    assert.same({ text = "hi" }, result.reply)
    assert.rejected(policy:call("rpc.NAME_echo", {}, from), "text is needed",
      203)
  end)

  it("keeps values for a day, also when a node is lost", function()
    local overlay <close> =
      testing.overlay({ nodes = 20, policies = { FILE } })
    overlay:perform(function()
      local key, options = kad.key("test"), { type = "NAME" }
      assert(overlay.nodes[1]:put(key, "hello", options))
      assert.holders(8, overlay, key, "NAME")
      assert.converged(overlay, key, "NAME")

      overlay:kill(overlay:holders(key, "NAME")[1].node)
      assert.equal("hello", (overlay.nodes[2]:get(key, options)))

      kad.sleep(2 * 86400) -- of virtual time
      assert.holders(0, overlay, key, "NAME")
    end)
  end)
end)
]=]

M.readme = [=[
# NAME

A policy for kadenza, a Kademlia DHT node: describe its purpose here.

| file | content |
|---|---|
| `NAME.lua` | the policy |
| `NAME_spec.lua` | its tests |
| `.busted`, `.luacheckrc`, `.luarc.json` | settings of busted, luacheck, editors |

Run these in this folder:

    # the tests; kadenza has to be installed
    busted
    # globals that the sandbox does not have, and other mistakes
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

`kill -HUP` makes a running node load the changed policy. If it has an error,
the old one stays.
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
-- The globals of the sandbox of policies.
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

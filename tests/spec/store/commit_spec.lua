-- Record stores that commit the changes of a turn. Tests bindings/lua/store.c.

local kad = require("kadenza")
local stores = require("support.store")
local support = require("tests.spec.support")

local messages_with = stores.messages_with
local spec = support.spec

local KEY <const> = kad.key("a")
local LONG <const> = "a value of more than 18 bytes"

describe("a store with commit", function()
  it("commits before senders are answered", spec(function()
    local uncommitted, commits = 0, 0
    messages_with({
      put = function()
        uncommitted = uncommitted + 1
      end,
      commit = function()
        uncommitted, commits = 0, commits + 1
      end,
    }, function(holder, client)
      for i = 1, 5 do
        assert(client:put(kad.key("key " .. i), LONG))
        assert.equal(0, uncommitted)
      end
      assert.equal(5, holder:stats().records)
    end)
    assert.is_true(commits >= 5)
  end))

  it("that fails rejects the records of the turn", spec(function()
    local messages = messages_with({ commit = function()
      return nil, "the disk is full"
    end }, function(holder, client)
      local stored, _, code, details = client:put(KEY, LONG)
      assert.is_nil(stored)
      assert.equal("KAD_EREMOTE", code)
      assert.equal(202, details.krpc)
      assert.is_true(holder:stats().store_failures > 0)
    end)
    assert.matches("the record store failed: commit: the disk is full",
      messages[1], 1, true)
  end))
end)

local gateway = require("kadenza.web.api.gateway")
local kad = require("kadenza")
local support = require("tests.spec.support")

-- A node that is open and runs what it is given.
local function fake_node()
  return {
    is_open = function()
      return true
    end,
    state = function()
      return "healthy"
    end,
  }
end

local function make(options)
  options = options or {}
  options.running = { node = fake_node() }
  return gateway.new(options)
end

local function found()
  kad.sleep(1)
  return { bytes = 10, life = 10 }
end

describe("a gateway", function()
  it("keeps that there is nothing for two seconds only",
    support.timed(function()
      local made, calls = make(), 0
      local function absent()
        calls = calls + 1
        return nil, "not found", "KAD_ENOTFOUND"
      end
      for _ = 1, 3 do
        assert.equal("KAD_ENOTFOUND", (select(3, made:fetch("a", absent))))
      end
      assert.equal(1, calls)
      kad.sleep(2.1)
      made:fetch("a", absent)
      assert.equal(2, calls)
    end))

  it("keeps no other failure", support.timed(function()
    local made, calls = make(), 0
    local function late()
      calls = calls + 1
      return nil, "no answer in time", "KAD_ETIMEOUT", { krpc = 1 }
    end
    for _ = 1, 3 do
      local answer, message, code, details = made:fetch("a", late)
      assert.is_nil(answer)
      assert.same({ "no answer in time", "KAD_ETIMEOUT", { krpc = 1 } },
        { message, code, details })
    end
    assert.equal(3, calls)
  end))

  it("does not keep an answer that a write has made old",
    support.timed(function()
      local made = make()
      local first = kad.spawn(function()
        return made:fetch("a", found)
      end)
      kad.sleep(0.5)
      made:forget("a")
      local second = made:fetch("a", found)
      assert.not_equal(second, first:await())
      assert.equal(second, made:fetch("a", found))
    end))

  it("raises an error of an operation, and frees its place",
    support.timed(function()
      local made = make({ max_operations = 1 })
      for _ = 1, 3 do
        assert.has_error(function()
          made:fetch("a", function()
            error("broken", 0)
          end)
        end, "broken")
        assert.has_error(function()
          made:perform(function()
            error("broken", 0)
          end)
        end, "broken")
      end
      assert.is_table(made:fetch("a", found))
    end))

  it("goes on with a lookup when the client that asked has gone",
    support.timed(function()
      local made, calls = make(), 0
      local function count()
        calls = calls + 1
        return found()
      end
      local first = kad.spawn(function()
        made:fetch("a", count)
      end)
      kad.sleep(0.5)
      first:cancel()
      kad.sleep(1)
      assert.is_table(made:fetch("a", count))
      assert.equal(1, calls)
    end))

  it("frees the place of a write whose client has gone",
    support.timed(function()
      local made = make({ max_operations = 1 })
      local first = kad.spawn(function()
        made:perform(support.never)
      end)
      kad.sleep(0.5)
      assert.equal("KAD_EBUSY", (select(3, made:perform(found))))
      first:cancel()
      assert.is_table(made:perform(found))
    end))
end)

local kad = require("kadenza")
local support = require("tests.spec.support")

local spec, local_node = support.spec, support.local_node
local with_pair = support.with_pair
local assert_blames_caller = support.assert_blames_caller

describe("closing a kadenza.node", function()
  it("ends operations with KAD_ECLOSED", with_pair(function(a, b)
    local waiting = kad.spawn(function()
      return b:get(kad.key("a"))
    end)
    kad.spawn(function()
      b:close()
    end)

    local value, message, code = waiting:await()

    assert.is_nil(value)
    assert.equal("the node is closed", message)
    assert.equal("KAD_ECLOSED", code)
    assert.is_true(a:is_open())
  end))

  it("may be repeated, and makes methods raise", with_pair(function(_, b)
    b:close()
    b:close()

    assert.is_false(b:is_open())
    for _, method in ipairs({
      "id", "addresses", "contacts", "stats", "state", "find_node", "get",
      "put", "announce", "get_peers", "call", "ping", "bootstrap", "save",
    }) do
      assert_blames_caller("closed node", function()
        b[method](b, kad.key("a"), "1")
      end)
    end
  end))

  -- To read arguments allocates, so a finalizer may run inside a method.
  it("makes a method raise in which a finalizer closes", spec(function()
    local core = require("kadenza.core")
    local function call_until_closed(object, method, ...)
      local is_fine, problem
      collectgarbage()
      setmetatable({}, { __gc = function()
        object:close()
      end })
      repeat
        local _ = {} -- without garbage the collector would not run
        is_fine, problem = pcall(object[method], object, ...)
      until not is_fine
      return problem
    end

    for round = 1, 20 do
      local net = core.sim({ seed = round })
      local node = assert(net:open_node({}, { "198.51.100.1:5000" }))
      local record = { key = kad.key("a"), type = "value", value = "v" }
      assert.equal("closed node",
        call_until_closed(node, "publish", record, 1000))
      assert.equal("closed network",
        call_until_closed(net, "open_node", {}, { "198.51.100.1:5000" }))
    end
  end))

  it("frees its policies and itself for the collector", function()
    local seen = setmetatable({}, { __mode = "v" })
    do
      local net <close> = kad.sim({ join = false, seed = 1 })
      for i = 1, 3 do
        local node = assert(net:open({ policies = { {
          rpc = { run = function()
            return {}
          end },
        } } }))
        seen[i] = node
        node:close()
        net:perform(function()
          kad.sleep(1)
        end)
      end
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(seen))
  end)

  it("calls the functions of on_close, the last one first",
    with_pair(function(_, b)
      local order = {}
      b:on_close(function(node)
        assert.is_true(node:is_open())
        order[#order + 1] = 1
      end)
      b:on_close(function()
        order[#order + 1] = 2
      end)
      b:close()
      b:close()

      assert.same({ 2, 1 }, order)
    end))

  it("continues after an error in on_close, and raises it at the end",
    with_pair(function(_, b)
      local others = 0
      b:on_close(function()
        others = others + 1
      end)
      b:on_close(function()
        error("broken")
      end)

      assert.error_matches(function()
        b:close()
      end, "broken")
      assert.equal(1, others)
      assert.is_false(b:is_open())
    end))

  it("works in on_close, in a callback and in a policy's hook",
    spec(function(t)
      kad.run(function()
        local a
        a = assert(kad.node(local_node({ policies = { {
          rpc = {
            bye = t.expect(1, function()
              a:close()
              return {}
            end),
          },
        } } })))
        local b = assert(kad.node(local_node()))
        b:on_close(t.expect(1, function()
          b:close()
        end))
        b:call(a:addresses()[1], "bye", {}, t.expect(1, function()
          b:close()
        end))
        while b:is_open() do
          kad.sleep(0.01)
        end

        assert.is_false(a:is_open())
      end, { timeout = 20 })
    end))

  it("happens at the end of a scope", with_pair(function()
    local node
    do
      local scoped <close> = assert(kad.node(local_node()))
      node = scoped
    end

    assert.is_false(node:is_open())
  end))

  it("cancels the operation of a canceled task", with_pair(function(a, b)
    local before = b:stats().operations
    local waiting = kad.spawn(function()
      return b:call("127.0.0.9:9", "hello")
    end)
    kad.sleep(0)
    assert.equal(before + 1, b:stats().operations)
    waiting:cancel()
    assert(b:ping(a:addresses()[1])) -- cancelling takes a turn

    assert.equal(before, b:stats().operations)
  end))
end)

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local pubs = require("tests.spec.support.pubsub")
local pubsub = require("kadenza.pubsub")
local support = require("tests.spec.support")

local NEWS <const> = pubs.NEWS
local listener = pubs.listener

describe("the policy of a hub", function()
  it("is added to another policy", support.spec(function()
    local hub, stored, stopped, ran = pubsub.new(), 0, 0, 0
    local mine = {
      name = "mine",
      types = { note = {} },
      rpc = {
        hello = function()
          return { text = "hi" }
        end,
      },
      every = { {
        seconds = 10,
        run = function()
          ran = ran + 1
        end,
      } },
      on_store = function()
        stored = stored + 1
      end,
      on_stop = function()
        stopped = stopped + 1
      end,
    }
    local net <close> =
      kad.sim({ nodes = 4, seed = 1, policies = { hub:policy(mine) } })
    local list, note = listener()
    net:perform(function()
      local nodes = net.nodes
      hub:subscribe(nodes[2], NEWS, note)
      assert(hub:publish(nodes[3], NEWS, "a"))
      assert(nodes[3]:put(NEWS, "x", { type = "note" }))
      assert(nodes[3]:call(nodes[1]:addresses()[1], "hello"))
      kad.sleep(20)
      nodes[4]:close()
    end)

    assert.same({ "a" }, list)
    assert.equal(8, stored)
    assert.equal(1, stopped)
    assert.is_true(ran >= 4)
    assert.equal(1, #mine.every)
    assert.is_nil(mine.types.event)
  end))

  it("allows hubs of several names", support.spec(function()
    local news, chat = pubsub.new(), pubsub.new({ name = "chat" })
    local both = news:policy(chat:policy())
    local net <close> = kad.sim({ nodes = 8, seed = 1, policies = { both } })
    local heard, note_heard = listener()
    local said, note_said = listener()
    net:perform(function()
      news:subscribe(net.nodes[2], NEWS, note_heard)
      chat:subscribe(net.nodes[2], NEWS, note_said)
      assert(news:publish(net.nodes[3], NEWS, "news"))
      assert(chat:publish(net.nodes[3], NEWS, "chat"))
      kad.sleep(2)
    end)

    assert.same({ "news" }, heard)
    assert.same({ "chat" }, said)
  end))

  it("works in a policy file, and again after a reload",
    support.spec(function()
      local files <close> = policies.files()
      local path = files:write([[
        local kad = require("kadenza")
        local hub = require("kadenza.pubsub").new()
        local news, heard = kad.key("news"), {}
        return hub:policy({
          on_start = function(node)
            hub:subscribe(node, news, function(value)
              heard[#heard + 1] = value
            end)
          end,
          rpc = {
            say = function(request, ctx)
              local info, reason =
                hub:publish(ctx.node, news, request.args.text)
              return info and { stored = info.stored }, reason
            end,
            heard = function()
              return { list = heard }
            end,
          },
        })
      ]])
      local events = support.logged(function()
        local net <close> =
          kad.sim({ nodes = 6, seed = 1, policies = { path } })
        net:perform(function()
          local nodes = net.nodes
          local to = nodes[2]:addresses()[1]
          kad.sleep(30)
          assert(nodes[5]:call(to, "say", { text = "one" }))
          kad.sleep(2)
          assert.same({ "one" }, assert(nodes[5]:call(to, "heard")).list)

          assert(nodes[2]:reload())
          kad.sleep(30)
          local other = nodes[4]:addresses()[1]
          assert(nodes[5]:call(other, "say", { text = "two" }))
          kad.sleep(2)

          assert.same({ "two" }, assert(nodes[5]:call(to, "heard")).list)
        end)
      end)
      assert.same({}, policies.failures(events))
    end))

  it("keeps subscribers in a reload", support.spec(function()
    local files <close> = policies.files()
    local path = files:write(
      'return require("kadenza.pubsub").new():policy()')
    local hub = pubsub.new()
    local events = support.logged(function()
      local net <close> = kad.sim({ nodes = 6, seed = 1, policies = { path } })
      net:perform(function()
        local list, note = listener()
        local node = assert(net:open({ policies = { hub:policy() } }))
        assert(node:bootstrap(net.nodes[1]:addresses()))
        assert.equal(6, hub:subscribe(node, NEWS, note):holders())

        for i = 1, 6 do
          assert(net.nodes[i]:reload())
        end
        local writer = assert(net:open({ policies = { hub:policy() } }))
        assert(writer:bootstrap(net.nodes[1]:addresses()))
        local before = hub:stats(node).duplicates
        assert(hub:publish(writer, NEWS, "after the reload"))
        kad.sleep(2)

        assert.same({ "after the reload" }, list)
        assert.is_true(hub:stats(node).duplicates - before >= 5)
      end)
    end)
    assert.same({}, policies.failures(events))
  end))

  it("saves subscribers together with the state of the policy",
    support.spec(function()
      local files <close> = policies.files()
      local path = files:write([[
        local hub = require("kadenza.pubsub").new()
        return hub:policy({
          name = "mine",
          rpc = {
            subscribers = function(_, ctx)
              return { count = hub:stats(ctx.node).subscribers }
            end,
          },
          save = function(node)
            return { hub = hub:save(node) }
          end,
          restore = function(state, _, node)
            hub:restore(node, state.hub)
          end,
        })
      ]])
      local net <close> = kad.sim({ join = false, policies = { path } })
      net:perform(function()
        local holder, node = assert(net:open()), assert(net:open())
        local to = holder:addresses()[1]
        assert(pubs.subscribe_by_hand(node, holder, NEWS))

        assert(holder:reload())

        assert.equal(1, assert(node:call(to, "subscribers")).count)
        kad.sleep(640)
        assert.equal(0, assert(node:call(to, "subscribers")).count)
      end)
    end))
end)

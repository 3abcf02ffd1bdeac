local core = require("kadenza.core")
local kad = require("kadenza")
local policy = require("kadenza.policy")
local shared = require("tests.spec.support")
local support = require("tests.spec.support.policy")

local spec, assert_blames_caller = shared.spec, shared.assert_blames_caller
local with, failures = support.with, support.failures
local call, note, rpc = support.call, support.note, support.rpc

local KEY <const> = kad.key("somewhere")
local NOTE <const> = { type = "note" }

-- Opens a node with policies in files; returns the results of net:open.
local function open_with(texts)
  local files <close> = support.files()
  local paths = {}
  for i, text in ipairs(texts) do
    paths[i] = files:write(text, "p" .. i .. ".lua")
  end
  local net <close> = kad.sim({ join = false })
  local node, message, code = net:open({ policies = paths })
  return node and true, message, code
end

describe("kadenza.policy", function()
  describe("loading", function()
    local refused = {
      ["no such file"] = { nil, "nothing%.lua: open: No such file" },
      ["a syntax error"] = { "return {", "p1%.lua:1: .*expected" },
      ["an error"] = { "\nerror('no')", "p1%.lua:2: no" },
      ["an error that is a table"] = { "error({})", "no text: table" },
      ["an error that cannot be shown"] = {
        "error(setmetatable({}, { __tostring = function() error() end }))",
        "an error that cannot be shown" },
      ["no table"] = { "return 7", "p1%.lua: it returns a number" },
      ["nothing"] = { "", "p1%.lua: it returns nothing where a policy" },
      ["a module that is not there"] = { "\nrequire('wrods')",
        "p1%.lua:2: module 'wrods': .*wrods%.lua: open: No such" },
      ["an endless loop"] = { "while true do end",
        "p1%.lua:1: ran too long: over its budget of %d+ instructions" },
      ["an unknown key"] = { "return { tyeps = {} }",
        "p1%.lua: unknown key 'tyeps' %(did you mean 'types'%?%)" },
      ["an unknown hook"] = { "return { types = { a = { valdate = 1 } } }",
        "p1%.lua: unknown key 'valdate' in types%.a "
          .. "%(did you mean 'validate'%?%)" },
      ["a hook that is no function"] = {
        "return { types = { a = { validate = 1 } } }",
        "types%.a%.validate must be a function, not a number" },
      ["the name of a core query"] = {
        "return { rpc = { ping = function() end } }", "." },
      ["two types of one name"] = {
        "return { types = { A = {} } }", "'A' is not a name of a type" },
    }

    for what, case in pairs(refused) do
      it("names the problem of " .. what, function()
        local text, pattern = case[1], case[2]
        local node, message, code
        if text then
          node, message, code = open_with({ text })
        else
          local net <close> = kad.sim({ join = false })
          node, message, code =
            net:open({ policies = { "/tmp/nothing.lua" } })
        end

        assert.is_nil(node)
        assert.matches(pattern, message)
        assert.is_truthy(code == "KAD_EINVAL" or code == "KAD_ECONFLICT", code)
      end)
    end

    it("names both files when two claim a type", function()
      local text = "return { types = { note = {} } }"

      local node, message = open_with({ text, text })

      assert.is_nil(node)
      assert.matches("p2%.lua: type 'note' is claimed by .*p1%.lua already",
        message)
    end)

    it("names both files when two claim a query", function()
      local text = "return { rpc = { hello = function() end } }"

      local node, message = open_with({ text, text })

      assert.is_nil(node)
      assert.matches("p2%.lua: query 'hello' is claimed by .*p1%.lua already",
        message)
    end)

    it("names a required policy that is not loaded", function()
      local text = 'return { requires = { "p2", counter = 2 } }'

      local node, message, code = open_with({ text, "return {}" })

      assert.is_nil(node)
      assert.matches("p1%.lua: it requires the policy 'counter', which is not "
        .. "loaded", message)
      assert.equal("KAD_EINVAL", code)
    end)

    it("accepts a function of the node", with([[
      return function(node)
        local id = node:id()
        return { rpc = { run = function() return { own = id } end } }
      end ]], function(world)
        assert.equal(world.node:id(), call(world).own)
      end))

    it("raises in the caller's line for mixed files and tables", spec(function()
      kad.run(function()
        assert_blames_caller("must be all files or all tables", function()
          kad.node({ policies = { "a.lua", {} } })
        end)
        assert_blames_caller("policy 1 must be a path", function()
          kad.node({ policies = { 1 } })
        end)
      end)
    end))

    it("returns the error of a function and opens nothing",
      spec(function()
        local net <close> = kad.sim({ join = false })

        local node, message = net:open({ policies = { function()
          error("no luck", 0)
        end } })

        assert.is_nil(node)
        assert.equal("policy 1: no luck", message)
      end))

    it("checks a policy without a node", function()
      local files <close> = support.files()

      assert.is_true(policy.check(files:write(note(""))))
      assert.is_true(policy.check({ { types = { note = {} } } }))
      local fine, message = policy.check(files:write("return { x = 1 }"))
      assert.is_nil(fine)
      assert.matches("policy%.lua: unknown key 'x'", message)
    end)
  end)

  describe("the lifecycle of a policy", function()
    it("starts, runs timers and stops on the node's clock", with([[
      local kad = require("kadenza")
      return {
        on_start = function(node) kad.sleep(1) kad.log.info("started") end,
        on_stop = function(node) kad.log.info("stopped") end,
        every = { { seconds = 60, run = function(node)
          kad.log.info("again", { id = kad.hex(node:id()) })
        end } },
      } ]], function(world)
        local id = kad.hex(world.node:id())
        kad.sleep(600)
        world.node:close()
        kad.sleep(600)
        world.after = function()
          local seen = {}
          for _, event in ipairs(world.events) do
            seen[event.message] = (seen[event.message] or 0) + 1
            if event.message == "again" then
              assert.equal(id, event.fields.id)
            end
          end
          assert.equal(1, seen.started)
          assert.equal(1, seen.stopped)
          assert.is_true(seen.again >= 8 and seen.again <= 12)
        end
      end))

    it("keeps its timers running after a failure", with([[
      local kad = require("kadenza")
      local n = 0
      return { every = { { seconds = 10, run = function()
        n = n + 1
        if n == 1 then error("first") elseif n == 2 then while true do end end
        kad.log.info("third")
      end } } } ]], function(world)
        kad.sleep(40)
        world.after = function()
          local errors = failures(world.events)
          assert.equal(2, #errors)
          assert.matches("policy%.lua:5: first", errors[1])
          assert.matches("ran too long", errors[2])
        end
      end))

    it("logs errors of on_start and on_stop", with([[
      return { on_start = function() error("a") end,
        on_stop = function() error("b") end } ]], function(world)
        world.node:close()
        world.after = function()
          local errors = failures(world.events)
          assert.equal(2, #errors)
          assert.matches("a", errors[1])
          assert.matches("b", errors[2])
        end
      end))

    it("cannot close the node", with(rpc([[
      local fine, err = pcall(ctx.node.close, ctx.node)
      return { fine = tostring(fine), err = tostring(err) } ]]),
      function(world)
        local reply = call(world)
        assert.equal("false", reply.fine)
        assert.matches("a policy cannot close its node", reply.err)
        assert.is_true(world.node:is_open())
      end))
  end)

  describe("an argument of a hook", function()
    it("has the fields of a record", with(note([[
      validate = function(record, ctx)
        local seen = {}
        for _, name in ipairs({ "key", "type", "value", "seq", "salt",
          "publisher", "signature", "ttl", "age" }) do
          seen[name] = record[name]
        end
        seen.reason, seen.ours = ctx.reason, ctx.from == nil and 1 or 0
        kad.log.info("seen", { all = kad.hex(kad.bencode.encode(seen)) })
        return true
      end ]]), function(world)
        local pair = kad.keypair()
        assert(world.node:put(KEY, "x", { type = "note", seq = 7, salt = "s",
          secret = pair.secret, ttl = 60 }))
        world.after = function()
          local seen
          for _, event in ipairs(world.events) do
            if event.message == "seen" then
              seen = kad.bencode.decode(kad.unhex(event.fields.all))
              break
            end
          end
          assert.equal(KEY, seen.key)
          assert.equal("note", seen.type)
          assert.equal("x", seen.value)
          assert.equal(7, seen.seq)
          assert.equal("s", seen.salt)
          assert.equal(pair.publisher, seen.publisher)
          assert.equal(64, #seen.signature)
          assert.equal(60, seen.ttl)
          assert.equal(0, seen.age)
          assert.equal("store", seen.reason)
          assert.equal(1, seen.ours)
        end
      end))

    it("raises for unknown fields", with(note([[
      validate = function(record, ctx)
        if record.value == "sleepy" then
          kad.sleep(0.1)
        end
        for _, view in ipairs({ record, ctx }) do
          for _, name in ipairs({ "pubisher", "form", 1, view }) do
            local fine, problem = pcall(function() return view[name] end)
            if not (not fine and problem:find(" has no field '", 1, true)) then
              return nil, "it has " .. tostring(name)
            end
          end
        end
        return record.pubisher == nil
      end ]]), function(world)
        for _, value in ipairs({ "x", "sleepy" }) do
          local _, message =
            world.node:put(KEY, value, { type = "note", seq = 7 })
          assert.is_truthy(message:find("the policy failed", 1, true), message)
        end
        world.after = function()
          assert.is_truthy(support.failures(world.events)[1]
            :find("a Record has no field 'pubisher'", 1, true))
        end
      end))

    it("has the fields of a request and its context", with(rpc([[
      return { method = request.method, who = request.args.who,
        address = ctx.from.address, host = ctx.from.host, port = ctx.from.port,
        who_id = ctx.from.id, proven = tostring(ctx.from.proven),
        now = math.floor(ctx.now), clock = math.floor(kad.now()),
        time = kad.time(),
        node = ctx.node:id() } ]]), function(world)
        local reply = call(world, "run", { who = "me" })
        local address = world.other:addresses()[1]

        assert.equal("run", reply.method)
        assert.equal("me", reply.who)
        assert.equal(address, reply.address)
        assert.equal(address, reply.host .. ":" .. reply.port)
        assert.equal(world.other:id(), reply.who_id)
        assert.equal("true", reply.proven)
        assert.equal(reply.clock, reply.now)
        assert.equal(kad.time(), reply.time)
        assert.equal(world.node:id(), reply.node)
      end))

    it("keeps its fields while the hook waits", with(note([[
      validate = function(record, ctx)
        local value, now = record.value, ctx.now
        kad.sleep(0.1)
        assert(record.value == value and record.key and not record.seq)
        assert(ctx.now == now and ctx.reason == "store" and ctx.node)
        return true
      end ]]), function(world)
        assert(world.node:put(KEY, "x", NOTE))
      end))

    it("raises after the hook has ended", with([[
      local kept
      return { types = { note = { validate = function(record, ctx)
        if record.value == "keep" then
          kept = { record, ctx }
        elseif record.value == "record" then
          return kept[1].value
        elseif record.value == "copy" then
          return kept[1]:copy()
        else
          return kept[2].now
        end
        return true
      end } } } ]], function(world)
        assert(world.node:put(KEY, "keep", NOTE))
        for _, what in ipairs({ "record", "copy", "context" }) do
          assert.is_nil((world.node:put(KEY, what, NOTE)))
          kad.sleep(11) -- so that each is said
        end
        world.after = function()
          local errors = failures(world.events)
          assert.matches("a Record was used after its hook had ended",
            errors[1])
          assert.matches("used after its hook had ended",
            errors[2])
          assert.matches("a Context was used after its hook had ended",
            errors[3])
        end
      end))

    it("can be copied, and the copy kept", with([[
      local kept
      return { types = { note = { validate = function(record)
        if kept then
          assert(kept.value == "first" and kept.type == "note")
          kept.value = "mine to change"
        end
        kept = record:copy()
        return true
      end } }, rpc = { run = function()
        return { value = kept.value }
      end } } ]],
      function(world)
        assert(world.node:put(KEY, "first", NOTE))
        assert.equal("first", call(world).value)
      end))

    it("cannot be changed", with(note([[
      validate = function(record) record.value = "y" return true end ]]),
      function(world)
        assert.is_nil((world.node:put(KEY, "x", NOTE)))
        world.after = function()
          assert.matches("cannot be changed", failures(world.events)[1])
        end
      end))
  end)

  describe("several policies", function()
    local function world_of(texts, fn)
      return spec(function()
        local files <close> = support.files()
        local paths = {}
        for i, text in ipairs(texts) do
          paths[i] = files:write(text, "p" .. i .. ".lua")
        end
        local net <close> = kad.sim({ join = false })
        local node = assert(net:open({ policies = paths }))
        local other = assert(net:open())
        net:perform(function()
          assert(other:bootstrap(node:addresses()))
          fn({ node = node, other = other })
        end)
      end)
    end

    local function filter(answer)
      return [[
        local kad = require("kadenza")
        return { on_request = function(request)
          if request.method == "run" then kad.sleep(0.01) ]] .. answer .. [[ end
          return true
        end } ]]
    end

    it("are called in order until one rejects", world_of({
      filter(""), filter('return nil, "second", 251'),
      filter('return nil, "third", 252'), rpc("return {}"),
    }, function(world)
      local reply, _, _, info = call(world)

      assert.is_nil(reply)
      assert.equal(251, info.krpc)
      assert.equal("second", info.reason)
    end))

    it("have deadlines of their own", world_of({
      [[local kad = require("kadenza")
      return { name = "hasty", deadline = 0.5, rpc = {
        hasty = function() kad.sleep(1) return {} end } }]],
      [[local kad = require("kadenza")
      return { rpc = { usual = function(request)
        kad.sleep(request.args.seconds) return {} end } }]],
      [[local kad = require("kadenza")
      return { name = "patient", deadline = 3, rpc = {
        patient = function() kad.sleep(2.5) return {} end } }]],
    }, function(world)
      local begun = kad.now()
      local reply, _, _, info = call(world, "hasty")
      assert.is_nil(reply)
      assert.equal(202, info.krpc)
      assert.is_true(kad.now() - begun < 0.9)

      assert(call(world, "usual", { seconds = 1 }))
      begun = kad.now()
      assert.is_nil((call(world, "usual", { seconds = 3 })))
      assert.is_true(kad.now() - begun < 2.4)

      assert(call(world, "patient"))
    end))

    it("accept if all of them accept", world_of({
      filter(""), filter(""), rpc('return { a = "b" }'),
    }, function(world)
      assert.equal("b", call(world).a)
    end))

    it("call all listeners, also after one fails", world_of({
      "return { on_store = function() error() end }",
      [[ local n = 0
         return { on_store = function(record) n = n + 1 end,
           rpc = { run = function() return { n = n } end } } ]],
      "return { types = { note = {} } }",
    }, function(world)
      shared.logged(function()
        world.node:put(KEY, "x", NOTE)
      end)
      assert.equal(1, call(world).n)
    end))
  end)

  describe("tables", function()
    it("run in the caller's state", spec(function()
      local seen
      local net <close> = kad.sim({ join = false })
      local node = assert(net:open({ policies = { {
        types = { note = { validate = function(record)
          seen = record.value
          return true
        end } },
      } } }))
      local other = assert(net:open())
      net:perform(function()
        assert(other:bootstrap(node:addresses()))
        node:put(KEY, "x", NOTE)
      end)
      assert.equal("x", seen)
    end))

    it("may have hooks that wait, with a budget", with({
      types = { note = { validate = function(record)
        kad.sleep(0.01)
        while record.value == "loop" do end
        return true
      end } },
    }, function(world)
      assert(world.node:put(KEY, "x", NOTE))
      assert.is_nil((world.node:put(KEY, "loop", NOTE)))
      assert.truthy(world.other:ping(world.node:addresses()[1]))
    end))
  end)
end)

describe("the budgets of policies", function()
  it("are those of the node's options", spec(function()
    local files <close> = support.files()
    local path = files:write([[
      return { rpc = {
        compute = function() for _ = 1, 500000 do end return {} end,
        keep = function() return { size = #("x"):rep(1000000):rep(1) } end,
      } } ]])
    shared.logged(function()
      local net <close> = kad.sim({ join = false, seed = 1 })
      local function open(options)
        options.policies = { path }
        return assert(net:open(options))
      end
      local little = open({ policy_memory = 1 << 20,
        policy_instructions = 100000 })
      local enough = open({})
      net:perform(function()
        local asker = assert(net:open({}))
        for _, name in ipairs({ "compute", "keep" }) do
          assert.is_nil((asker:call(little:addresses()[1], name)))
          assert(asker:call(enough:addresses()[1], name))
        end
      end)
    end)
  end))

  it("must be in their ranges", spec(function()
    local net <close> = kad.sim({ join = false })
    assert.has_error(function()
      net:open({ policy_memory = 1000 })
    end, "option 'policy_memory' must be in 1048576 to 1099511627776")
  end))
end)

describe("statistics of policies", function()
  it("are part of the node's", with(rpc("return {}"), function(world)
    call(world)
    local stats = world.node:stats()

    assert.equal(1, stats.policies.hooks["policy: rpc.run"].calls)
    assert.is_true(stats.policies.memory > 10000)
    assert.matches("policy: rpc.run calls=1 errors=0",
      tostring(stats.policies))
  end))

  it("are nil without policies", spec(function()
    local net <close> = kad.sim({ nodes = 1, join = false })

    assert.is_nil(net.nodes[1]:stats().policies)
  end))
end)

describe("memory of policies", function()
  local before = policy.MEMORY

  before_each(function()
    policy.MEMORY = 2 * 1024 * 1024
  end)

  after_each(function()
    policy.MEMORY = before
  end)

  it("is limited, and only the hook that exceeds it fails", with(rpc([[
    if request.args.much then
      local kept = {}
      while true do
        kept[#kept + 1] = ("x"):rep(1 << 18)
      end
    end
    return { ok = 1 } ]]), function(world)
      assert.is_nil((call(world, "run", { much = 1 })))
      assert.equal(1, call(world).ok)
      assert.is_true(world.node:stats().policies.memory <= policy.MEMORY)
      world.after = function()
        assert.matches("memory", failures(world.events)[1])
      end
    end))

  it("is freed with the node", spec(function()
    local files <close> = support.files()
    local path = files:write("return { big = nil, types = {} }")
    local net <close> = kad.sim({ join = false })
    for _ = 1, 20 do
      local node = assert(net:open({ policies = { path } }))
      node:close()
      net:run(1)
      assert.has_error(function()
        node.policy_handle:stats()
      end)
    end
    assert.is_function(core.sim)
  end))

  it("does not attach to a node that a policy has closed", spec(function()
    local net <close> = kad.sim({ join = false })
    local node = assert(net:open({ policies = { {} } }))
    local loaded, message, code = policy.attach(node, { function()
      node:close()
      return {}
    end })
    assert.is_nil(loaded)
    assert.equal("the node was closed", message)
    assert.equal("KAD_ECLOSED", code)
  end))
end)

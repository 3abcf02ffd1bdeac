local kad = require("kadenza")
local policies = require("tests.spec.policy_support")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

local spec = support.spec

local BOOK <const> = [[
local kad = require("kadenza")

local waits = { short = 1, long = 9 }

local function validate(record, ctx)
  if record.value == "broken" then
    error("a broken rule")
  elseif record.value == "endless" then
    while true do end
  elseif waits[record.value] then
    kad.sleep(waits[record.value])
  elseif record.value == "who" then
    return nil, ctx.from.address .. " " .. tostring(ctx.from.proven), 210
  elseif record.value == "why" then
    return nil, ctx.reason .. " " .. ctx.node:addresses()[1]
  elseif record.value == "kept" then
    kept = record
  elseif record.value:find("spam") then
    return nil, "no spam, please"
  end
  return true
end

return {
  name = "book",
  deadline = 3,
  types = {
    line = {
      max_values = 3,
      validate = validate,
      merge = function(held, record)
        table.insert(held, 1, record)
        return held
      end,
      select = function(records)
        return { value = tostring(#records) }
      end,
      expire = function(record)
        return record.age + 1e12
      end,
      republish = function(record)
        return record.value ~= "once" and 60
      end,
    },
  },
  rpc = {
    greet = function(request, ctx)
      kad.log.info("greeted", { from = ctx.from and ctx.from.address })
      return { text = "hello, " .. request.args.name }
    end,
  },
  on_request = function(request)
    if request.method == "mute" then
      return false
    end
    return request.method ~= "deny" or nil, "denied"
  end,
  on_contact = function(contact)
    return contact.port ~= 1
  end,
}
]]

-- Calls fn(policy) with the book loaded.
local function with_book(fn)
  return spec(function()
    local files <close> = policies.files()
    local book <close> = assert(testing.load(files:write(BOOK, "book.lua")))
    fn(book, files.folder .. "/book.lua")
  end)
end

-- Calls fn(overlay) as a task of an overlay whose nodes run the book.
local function with_overlay(options, fn)
  return spec(function()
    local files <close> = policies.files()
    options.policies = { files:write(BOOK, "book.lua") }
    local overlay <close> = testing.overlay(options)
    overlay:perform(fn, overlay)
  end)
end

local function message_of(fn)
  local fine, problem = pcall(fn)
  assert.is_false(fine)
  return type(problem) == "table" and problem.message or problem
end

local function line(book, value, context)
  return book:call("types.line.validate", { value = value }, context)
end

describe("kadenza.testing, calling one hook,", function()
  it("returns the verdict, the reason and the code", with_book(function(book)
    assert.equal("accept", line(book, "hello").verdict)
    local answer = line(book, "spam")
    assert.equal("refuse", answer.verdict)
    assert.equal("no spam, please", answer.reason)
    assert.equal(201, answer.code)
    assert.equal("refuse, 201: no spam, please", tostring(answer))
  end))

  it("returns the error with its place and traceback",
    with_book(function(book, path)
      local answer = line(book, "broken")
      assert.equal("failed", answer.verdict)
      assert.equal(202, answer.code)
      assert.equal(path .. ":7: a broken rule", answer.error)
      assert.is_truthy(answer.traceback:find(path .. ":7: in ", 1, true))
    end))

  it("gives the hook who asks, why, and a node", with_book(function(book)
    assert.equal("192.0.2.7:1 true", line(book, "who",
      { from = { address = "192.0.2.7:1", proven = true } }).reason)
    assert.equal(210, line(book, "who", { from = {} }).code)
    assert.equal("get 192.0.2.200:6881",
      line(book, "why", { reason = "get" }).reason)
  end))

  it("keeps the budgets of a node", with_book(function(book)
    local answer = line(book, "endless")
    assert.is_truthy(answer.error:find("ran too long", 1, true))
  end))

  it("waits in virtual time, up to the deadline", with_book(function(book)
    local short = line(book, "short")
    assert.equal("accept", short.verdict)
    assert.equal(1, short.waited)
    local long = line(book, "long")
    assert.equal("failed", long.verdict)
    assert.is_truthy(long.error:find("before its deadline", 1, true))
  end))

  it("says every failure, and opens no breaker", with_book(function(book)
    for _ = 1, 30 do
      assert.is_truthy(line(book, "broken").error:find("a broken rule"))
    end
    assert.equal("accept", line(book, "hello").verdict)
  end))

  it("is the sandbox that the file will run in", with_book(function(book)
    assert.is_truthy(line(book, "kept").error
      :find("global 'kept' cannot be set", 1, true))
  end))

  it("returns what merge and select choose", with_book(function(book)
    local held = { { value = "a", age = 9 }, { value = "b" } }
    local merged = book:call("types.line.merge", held, { value = "c", seq = 4 })
    assert.same({ { value = "c", seq = 4 }, { value = "a" }, { value = "b" } },
      merged.records)
    local chosen = book:call("types.line.select", held)
    assert.same({ { value = "2" } }, chosen.records)
  end))

  it("returns seconds as the host brings them into range",
    with_book(function(book)
      assert.equal(2592000, book:call("types.line.expire", {}).seconds)
      assert.equal(60, book:call("types.line.republish", {}).seconds)
      assert.is_false(book:call("types.line.republish",
        { value = "once" }).seconds)
    end))

  it("calls queries and filters", with_book(function(book)
    local answer = book:call("rpc.greet", { name = "Ann" }, { from = {} })
    assert.equal("hello, Ann", answer.reply.text)
    assert.equal("greeted", book.log[1].message)
    assert.equal("192.0.2.1:6881", book.log[1].fields.from)
    assert.equal("accept",
      book:call("on_request", { method = "ping" }).verdict)
    assert.equal("silence",
      book:call("on_request", { method = "mute" }).verdict)
    assert.equal("denied",
      book:call("on_request", testing.request({ method = "deny" })).reason)
    assert.equal("refuse",
      book:call("on_contact", { address = "192.0.2.1:1" }).verdict)
  end))

  it("asks tables as it asks files", spec(function()
    local seen
    local table_policy <close> = assert(testing.load({ {
      types = { note = { validate = function(record)
        seen = record
        kad.sleep(1)
        error({ "no text" })
      end } },
    } }))
    local answer = table_policy:call("types.note.validate", { value = "x" })
    assert.equal("failed", answer.verdict)
    assert.equal(1, answer.waited)
    assert.is_truthy(message_of(function()
      return seen.value
    end):find("used after its hook had ended", 1, true))
  end))

  it("starts a policy, lets time pass and stops it", spec(function()
    local files <close> = policies.files()
    local path = files:write([[
local kad = require("kadenza")
return {
  name = "clock",
  on_start = function() kad.log.info("begins") error("badly") end,
  on_stop = function() kad.log.info("ends") end,
  every = { { seconds = 60, run = function() kad.log.info("ticks") end } },
}]])
    local clock = assert(testing.load(path))
    clock:run(1000)
    assert.same({}, clock.log)
    clock:start()
    clock:run(3600)
    local counts = { begins = 0, ticks = 0 }
    for _, event in ipairs(clock.log) do
      counts[event.message] = counts[event.message] + 1
    end
    assert.equal(1, counts.begins)
    assert.is_true(counts.ticks > 53 and counts.ticks < 68)
    assert.equal(1, #clock.failures)
    assert.equal("clock: on_start", clock.failures[1].hook)
    assert.equal(path .. ":4: badly", clock.failures[1].error)
    assert.is_truthy(clock.failures[1].traceback:find(path .. ":4", 1, true))
    support.assert_blames_caller("seconds must be a number", function()
      clock:run(-1)
    end)
    clock:close()
    assert.equal("ends", clock.log[#clock.log].message)
    support.assert_blames_caller("closed policy", function()
      clock:start()
    end)
  end))

  it("reloads as a node does, with what was saved", spec(function()
    local files <close> = policies.files()
    local text = [[
local count = 0
return {
  name = "sum", version = %d,
  rpc = { add = function() count = count + 1 return { count = count } end },
  save = function() return { count = count } end,
  restore = function(state, version)
    if version > %d then return nil, "too new" end
    count = state.count
  end,
}]]
    local path = files:write(text:format(1, 1))
    local sum <close> = assert(testing.load(path))
    assert.equal(1, sum:call("rpc.add", {}).reply.count)
    assert.equal(2, sum:call("rpc.add", {}).reply.count)

    assert.is_true(sum:reload())
    assert.equal(3, sum:call("rpc.add", {}).reply.count)

    files:write(text:format(2, 0))
    local reloaded, message = sum:reload()
    assert.is_nil(reloaded)
    assert.is_truthy(message:find("restore: too new", 1, true))
    assert.equal(4, sum:call("rpc.add", {}).reply.count)

    files:write("return {")
    assert.is_nil((sum:reload()))
    assert.equal(5, sum:call("rpc.add", {}).reply.count)
  end))

  it("says what a policy that cannot be loaded lacks", spec(function()
    local files <close> = policies.files()
    local path = files:write("return { types = { a = { valdate = 1 } } }")
    local loaded, message, code = testing.load(path)
    assert.is_nil(loaded)
    assert.equal(path .. ": unknown key 'valdate' in types.a "
      .. "(did you mean 'validate'?)", message)
    assert.equal("KAD_EINVAL", code)
  end))

  it("blames the test for its mistakes", with_book(function(book)
    support.assert_blames_caller(
      "no hook 'types.line.valdate' (did you mean 'types.line.validate'?)",
      function()
        book:call("types.line.valdate", {})
      end)
    support.assert_blames_caller(
      "a record has no field 'vaule' (did you mean 'value'?)", function()
        book:call("types.line.validate", { vaule = "x" })
      end)
    support.assert_blames_caller("'stor' is no reason", function()
      line(book, "x", { reason = "stor" })
    end)
    book:close()
    support.assert_blames_caller("closed policy", function()
      line(book, "x")
    end)
  end))
end)

describe("kadenza.testing, making values,", function()
  it("fills in what is left out", function()
    local record = testing.record({ value = "x" })
    assert.equal("value", record.type)
    assert.equal(20, #record.key)
    assert.is_nil(record.seq)
    assert.equal("x", record:copy().value)
    local contact = testing.contact({ address = "[2001:db8::1]:7" })
    assert.equal("2001:db8::1", contact.host)
    assert.equal(7, contact.port)
    assert.equal("store", testing.context().reason)
    assert.same({}, testing.request({ method = "m" }).args)
  end)

  it("signs with a secret", function()
    local pair = kad.keypair(("s"):rep(32))
    local record = testing.record({ value = "x", secret = pair.secret })
    assert.equal(pair.publisher, record.publisher)
    assert.equal(64, #record.signature)
    assert.is_nil(rawget(record, "secret"))
  end)

  it("knows the fields, when they are written and read", function()
    support.assert_blames_caller("did you mean 'publisher'?", function()
      testing.record({ pubisher = "x" })
    end)
    support.assert_blames_caller("field 'seq' of a record must be an integer",
      function()
        testing.record({ seq = 1.5 })
      end)
    support.assert_blames_caller("did you mean 'publisher'?", function()
      return testing.record().pubisher
    end)
    support.assert_blames_caller("'here' is no address", function()
      testing.contact({ address = "here" })
    end)
  end)
end)

describe("kadenza.testing, in an overlay,", function()
  it("says its seed when a test fails", spec(function()
    local overlay <close> = testing.overlay({ nodes = 2, seed = 77 })
    assert.is_truthy(message_of(function()
      overlay:perform(function()
        error("wrong")
      end)
    end):find("wrong\n(seed 77; KADENZA_SEED=77 repeats it)", 1, true))
  end))

  it("repeats byte for byte", spec(function()
    local function hash(seed)
      local overlay <close> = testing.overlay({ nodes = 5, seed = seed })
      overlay:run(100)
      return overlay.net:trace_hash()
    end
    assert.equal(hash(5), hash(5))
    assert.is_not.equal(hash(5), hash(6))
  end))

  it("refuses options that it does not know", spec(function()
    support.assert_blames_caller("unknown option 'node'", function()
      testing.overlay({ node = 2 })
    end)
    support.assert_blames_caller("nowhere.lua", function()
      testing.overlay({ nodes = 1, policies = { "nowhere.lua" } })
    end)
  end))

  it("knows who holds what", with_overlay({ nodes = 20 }, function(overlay)
    local key = kad.key("book")
    assert(overlay.nodes[1]:put(key, "hello", { type = "line" }))

    local holders = overlay:holders(key, "line")

    assert.equal(8, #holders)
    assert.equal("hello", holders[1].records[1].value)
    assert.equal("hello (publisher none, seq none)", holders[1].values)
    assert.same({}, overlay:holders(key))
    assert.holders(8, overlay, key, "line")
    assert.converged(overlay, key, "line")
  end))

  it("tells the seed of a failure, and who leaves, joins and is parted",
    spec(function()
      local stopped = 0
      local overlay <close> = testing.overlay({ nodes = 6, seed = 31,
        churn = { median = 1e6 }, policies = { { on_stop = function()
          stopped = stopped + 1
        end } } })
      overlay:kill(1)
      assert.equal(0, stopped)
      overlay:leave(overlay.nodes[1])
      assert.equal(1, stopped)
      assert.equal(4, #overlay.nodes)
      local message = message_of(function()
        overlay:perform(function()
          assert.equal("healthy", overlay:join():state())
          overlay:partition({ overlay.nodes[1] })
          assert.is_nil((overlay.nodes[2]:ping(
            overlay.nodes[1]:addresses()[1])))
          overlay:heal()
          assert(overlay.nodes[2]:ping(overlay.nodes[1]:addresses()[1]))
          error("all is well")
        end)
      end)
      assert.is_truthy(message:find("all is well", 1, true))
      assert.is_truthy(message:find("(seed 31; KADENZA_SEED=31 repeats it)", 1,
        true))
    end))

  it("kills nodes, which say nothing", with_overlay({ nodes = 6 },
    function(overlay)
      local second, address =
        overlay.nodes[2], overlay.nodes[2]:addresses()[1]
      overlay:kill(2)
      assert.is_false(second:is_open())
      assert.equal(5, #overlay.nodes)
      local contact, _, code = overlay.nodes[1]:ping(address)
      assert.is_nil(contact)
      assert.equal("KAD_ETIMEOUT", code)
      support.assert_blames_caller("no node of this overlay", function()
        overlay:kill(second)
      end)
    end))

  it("has nodes that do not answer, or with errors",
    with_overlay({ nodes = 4 }, function(overlay)
      local silent = overlay:bad_node("silent")
      local errors = overlay:bad_node("errors")
      local first = overlay.nodes[1]
      local _, _, code = first:call(silent:addresses()[1], "greet", {})
      assert.equal("KAD_ETIMEOUT", code)
      local _, _, kind, info = first:call(errors:addresses()[1], "greet", {})
      assert.equal("KAD_EREMOTE", kind)
      assert.equal(202, info.krpc)
      support.assert_blames_caller("no kind of a bad node", function()
        overlay:bad_node("lazy")
      end)
    end))

  it("has nodes that hold and answer garbage", with_overlay({ nodes = 4 },
    function(overlay)
      local garbage = overlay:bad_node("garbage")
      local reply =
        assert(overlay.nodes[1]:call(garbage:addresses()[1], "greet", {}))
      assert.is_table(reply.text)
      local key = kad.key("book")
      garbage:put(key, "spam", { type = "line" })
      assert.holders(1, overlay, key, "line")
      assert.is_nil((overlay.nodes[1]:get(key, { type = "line" })))
      assert(overlay.nodes[1]:put(key, "fine", { type = "line" }))
      assert.is_not.converged(overlay, key, "line")
    end))
end)

describe("kadenza.testing, asserting,", function()
  it("accepts and refuses answers", with_book(function(book)
    assert.accepted(line(book, "hello"))
    assert.refused(line(book, "spam"))
    assert.refused(line(book, "spam"), "no spam", 201)
    assert.fails(line(book, "broken"), "book.lua:7: ")
    assert.is_not.accepted(line(book, "spam"))
  end))

  it("says what was answered, and what was wanted", with_book(function(book)
    assert.is_truthy(message_of(function()
      assert.accepted(line(book, "spam"))
    end):find("Expected the hook to accept.\n"
      .. "It answered: refuse, 201: no spam, please", 1, true))
    assert.is_truthy(message_of(function()
      assert.refused(line(book, "spam"), "something", 301)
    end):find("Wanted: a reason with 'something', code 301", 1, true))
    assert.is_truthy(message_of(function()
      assert.fails(line(book, "hello"), "x")
    end):find("It answered: accept", 1, true))
  end))

  it("lists who holds what", with_overlay({ nodes = 3, seed = 9 },
    function(overlay)
      local key = kad.key("book")
      assert(overlay.nodes[1]:put(key, "hello", { type = "line" }))
      local message = message_of(function()
        assert.holders(9, overlay, key, "line")
      end)
      assert.is_truthy(message:find(
        "Wanted: 9. 3 hold it (seed 9):\n  20.0.1.1:6881: hello", 1, true))
    end))

  it("refuses what is no answer and no overlay", spec(function()
    assert.is_truthy(message_of(function()
      assert.accepted(true)
    end):find("an answer of policy:call is needed", 1, true))
    assert.is_truthy(message_of(function()
      assert.holders(1, {}, "key")
    end):find("an overlay is needed", 1, true))
  end))
end)

local kad = require("kadenza")
local policies = require("tests.spec.support.policy")
local shared = require("tests.spec.support.testing")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

local line = shared.call_line
local message_of = shared.message_of
local spec = support.spec
local with_book = shared.with_book

describe("kadenza.testing.policy", function()
  it("returns the verdict, the reason and the code", with_book(function(book)
    assert.equal("accept", line(book, "hello").verdict)
    local result = line(book, "spam")
    assert.equal("reject", result.verdict)
    assert.equal("no spam, please", result.reason)
    assert.equal(201, result.code)
    assert.equal("reject, 201: no spam, please", tostring(result))
  end))

  it("returns the error with its place and traceback",
    with_book(function(book, path)
      local result = line(book, "broken")
      assert.equal("failed", result.verdict)
      assert.equal(202, result.code)
      assert.equal(path .. ":7: a broken rule", result.error)
      assert.is_truthy(result.traceback:find(path .. ":7: in ", 1, true))
    end))

  it("gives the hook from, reason and node", with_book(function(book)
    assert.equal("192.0.2.7:1 true", line(book, "who",
      { from = { address = "192.0.2.7:1", proven = true } }).reason)
    assert.equal(210, line(book, "who", { from = {} }).code)
    assert.equal("get 192.0.2.200:6881",
      line(book, "why", { reason = "get" }).reason)
  end))

  it("keeps the budgets of a node", with_book(function(book)
    local result = line(book, "endless")
    assert.is_truthy(result.error:find("ran too long", 1, true))
  end))

  it("waits in virtual time, up to the deadline", with_book(function(book)
    local short = line(book, "short")
    assert.equal("accept", short.verdict)
    assert.equal(1, short.waited)
    local long = line(book, "long")
    assert.equal("failed", long.verdict)
    assert.is_truthy(long.error:find("before its deadline", 1, true))
  end))

  it("reports every failure, with no open breaker", with_book(function(book)
    for _ = 1, 30 do
      assert.is_truthy(line(book, "broken").error:find("a broken rule"))
    end
    assert.equal("accept", line(book, "hello").verdict)
  end))

  it("runs the file in the sandbox of a node", with_book(function(book)
    assert.is_truthy(line(book, "kept").error
      :find("global 'kept' cannot be set", 1, true))
  end))

  it("returns the records of merge and select", with_book(function(book)
    local held = { { value = "a", age = 9 }, { value = "b" } }
    local merged = book:call("types.line.merge", held, { value = "c", seq = 4 })
    assert.same({ { value = "c", seq = 4 }, { value = "a" }, { value = "b" } },
      merged.records)
    local chosen = book:call("types.line.select", held)
    assert.same({ { value = "2" } }, chosen.records)
  end))

  it("returns seconds clamped to their range",
    with_book(function(book)
      assert.equal(2592000, book:call("types.line.expire", {}).seconds)
      assert.equal(60, book:call("types.line.republish", {}).seconds)
      assert.is_false(book:call("types.line.republish",
        { value = "once" }).seconds)
    end))

  it("calls queries and filters", with_book(function(book)
    local result = book:call("rpc.greet", { name = "Ann" }, { from = {} })
    assert.equal("hello, Ann", result.reply.text)
    assert.equal("greeted", book.log[1].message)
    assert.equal("192.0.2.1:6881", book.log[1].fields.from)
    assert.equal("accept",
      book:call("on_request", { method = "ping" }).verdict)
    assert.equal("drop",
      book:call("on_request", { method = "mute" }).verdict)
    assert.equal("denied",
      book:call("on_request", testing.request({ method = "deny" })).reason)
    assert.equal("reject",
      book:call("on_contact", { address = "192.0.2.1:1" }).verdict)
  end))

  it("calls hooks of tables as those of files", spec(function()
    local seen
    local table_policy <close> = assert(testing.load({ {
      types = { note = { validate = function(record)
        seen = record
        kad.sleep(1)
        error({ "no text" })
      end } },
    } }))
    local result = table_policy:call("types.note.validate", { value = "x" })
    assert.equal("failed", result.verdict)
    assert.equal(1, result.waited)
    assert.is_truthy(message_of(function()
      return seen.value
    end):find("used after its hook had ended", 1, true))
  end))

  it("starts a policy, runs its timers and stops it", spec(function()
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

  it("migrates the saved state at a reload, as a node does", spec(function()
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

  it("returns the problem of a policy that cannot be loaded", spec(function()
    local files <close> = policies.files()
    local path = files:write("return { types = { a = { valdate = 1 } } }")
    local loaded, message, code = testing.load(path)
    assert.is_nil(loaded)
    assert.equal(path .. ": unknown key 'valdate' in types.a "
      .. "(did you mean 'validate'?)", message)
    assert.equal("KAD_EINVAL", code)
  end))

  it("raises errors that name the line of the test", with_book(function(book)
    support.assert_blames_caller(
      "no hook 'types.line.valdate' (did you mean 'types.line.validate'?)",
      function()
        book:call("types.line.valdate", {})
      end)
    support.assert_blames_caller(
      "a record has no field 'vaule' (did you mean 'value'?)", function()
        book:call("types.line.validate", { vaule = "x" })
      end)
    support.assert_blames_caller("'stor' is not a reason", function()
      line(book, "x", { reason = "stor" })
    end)
    book:close()
    support.assert_blames_caller("closed policy", function()
      line(book, "x")
    end)
  end))
end)

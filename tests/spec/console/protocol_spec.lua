local protocol = require("kadenza.console.protocol")

describe("the protocol of consoles", function()
  it("has requests that are one line of JSON", function()
    local line = protocol.request({ id = 1, command = "records",
      key = "a\nb" })
    assert.equal('{"id":1,"command":"records","key":"a\\nb"}\n', line)
    assert.same({ id = 1, command = "records", key = "a\nb" },
      protocol.parse_request(line:sub(1, -2)))
  end)

  it("returns the id of a request with another mistake", function()
    local request, problem, id =
      protocol.parse_request('{"id":"a","command":{}}')
    assert.is_nil(request)
    assert.equal("command must be a text", problem)
    assert.equal("a", id)
    request, problem, id = protocol.parse_request(
      ('{"id":"%s","command":"x"}'):format(("a"):rep(65)))
    assert.is_nil(request)
    assert.equal("id must be a number or a text of up to 64 bytes", problem)
    assert.is_nil(id)
  end)

  it("has replies that give back what was sent", function()
    local reply, raw =
      protocol.parse_reply(protocol.ok(3, { b = 1, a = {} }, { "b" })
        :sub(1, -2))
    assert.equal(3, reply.id)
    assert.equal(1, reply.ok.b)
    assert.equal('{"b":1,"a":{}}', raw)
    reply, raw = protocol.parse_reply(protocol.event(4, { x = "}" }):sub(1, -2))
    assert.same({ x = "}" }, { x = reply.event.x })
    assert.equal('{"x":"}"}', raw)
    reply = protocol.parse_reply(protocol.error(5, "no\n", "KAD_EFULL")
      :sub(1, -2))
    assert.equal("no\n", reply.error.message)
    assert.equal("KAD_EFULL", reply.error.code)
    assert.is_nil((protocol.parse_reply('{"id":1}')))
    assert.is_nil((protocol.parse_reply("HTTP/1.1 400 Bad Request")))
  end)

  it("writes ids so that no line is broken", function()
    for _, id in ipairs({ 1, 0, -7, 1.5, 1e300, "a", '"', "\n", "{}" }) do
      local line = protocol.ok(id, { x = 1 })
      assert.equal("\n", line:match("\n.*"))
      assert.equal(id, protocol.parse_reply(line:sub(1, -2)).id)
    end
  end)
end)

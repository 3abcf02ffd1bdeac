local client = require("kadenza.console.client")
local core = require("kadenza.core")
local support = require("tests.spec.support")

describe("the client of a console", function()
  local folder, remove, path, listener

  before_each(function()
    folder, remove = support.temporary_folder()
    path = folder .. "/console"
    listener = assert(core.listen_local(path))
  end)

  after_each(function()
    listener:close()
    remove()
  end)

  -- Returns a client, and what its node has to write: before the client reads.
  local function open(text)
    local own = assert(client.open(path))
    local socket = assert(listener:accept())
    if text then
      assert(socket:write(text, 1))
    end
    return own, socket
  end

  it("returns a result, and its JSON as it was written", function()
    local own, socket = open('{"id":1,"ok":{"b":[],"a":1.0}}\n')
    local result, raw = own:request("status", { key = "x" })
    assert.equal(1, result.a)
    assert.equal('{"b":[],"a":1.0}', raw)
    assert.equal('{"id":1,"command":"status","key":"x"}\n', socket:read())
  end)

  it("returns the error of the node", function()
    local own = open('{"id":1,"error":{"code":"KAD_EFULL","message":"no"}}\n')
    local result, message, code = own:request("status")
    assert.is_nil(result)
    assert.equal("no", message)
    assert.equal("KAD_EFULL", code)
  end)

  it("reads why the node has closed before it could ask", function()
    local own, socket =
      open('{"id":null,"error":{"code":"KAD_EFULL","message":"full"}}\n')
    socket:close()
    local result, message, code = own:request("status")
    assert.is_nil(result)
    assert.equal("full", message)
    assert.equal("KAD_EFULL", code)
  end)

  it("tells that the node has ended", function()
    local own, socket = open('{"id":1,"ok":')
    socket:close()
    local result, message, code = own:request("status")
    assert.is_nil(result)
    assert.equal(path .. ": the node has ended the connection", message)
    assert.equal("KAD_ECLOSED", code)
  end)

  it("waits for an answer, for a time", function()
    local own = open()
    local result, message, code = own:request("status", nil, 0.01)
    assert.is_nil(result)
    assert.equal(path .. ": the node does not answer", message)
    assert.equal("KAD_ETIMEOUT", code)
  end)

  it("does not take what is no answer", function()
    for _, text in ipairs({ "HTTP/1.1 400 Bad Request\r\n\r\n", "\255\n",
      '{"id":7,"ok":{}}\n', '{"id":1,"event":{}}\n' }) do
      local own = open(text)
      local result, message, code = own:request("status")
      assert.is_nil(result)
      assert.equal(path .. ": not a console of kadenza", message)
      assert.equal("KAD_EMALFORMED", code)
    end
  end)

  it("notices within a pause that the node ends", function()
    local own, socket = open()
    assert.is_true(own:pause(0.01))
    socket:close()
    assert.is_false(own:pause(5))
  end)
end)

local policies = require("tests.spec.support.policy")
local spec = require("tests.spec.support").spec
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

local POLL <const> = [[
local kad = require("kadenza")
local votes = {}

return {
  name = "poll",
  http = {
    ["GET /poll/:name"] = function(request)
      local name = request.params.name
      if not votes[name] then
        return nil, "no such poll", 404
      end
      return { json = { votes = votes[name], from = request.from,
        full = request.query.full } }
    end,
    ["POST /poll/:name"] = function(request)
      local vote = request:json()
      kad.sleep(vote.seconds or 0)
      votes[request.params.name] = (votes[request.params.name] or 0) + 1
      return { status = 204, headers = { type = request.headers["x-a"] } }
    end,
    ["GET /broken"] = function()
      error("a broken rule")
    end,
  },
} ]]

-- Wraps a spec: calls fn(policy).
local function with_poll(fn)
  return spec(function()
    local files <close> = policies.files()
    local poll <close> = assert(testing.load(files:write(POLL, "poll.lua")))
    fn(poll, files.folder .. "/poll.lua")
  end)
end

describe("policy:request of kadenza.testing", function()
  it("returns what a client receives", with_poll(function(poll)
    local none = poll:request("GET", "/poll/lunch")
    assert.equal(404, none.status)
    assert.equal("no such poll", none.error)
    assert.equal("404: no such poll", tostring(none))
    assert.equal(404, poll:request("GET", "/nothing").status)
    assert.equal(405, poll:request("PUT", "/poll/lunch").status)
    local done = poll:request("POST", "/poll/lunch",
      { json = {}, headers = { ["x-a"] = "b" } })
    assert.equal(204, done.status)
    assert.equal("b", done.headers.type)
    assert.equal("", done.body)
    assert.same({ votes = 1, from = "192.0.2.1:50000", full = "1" },
      poll:request("GET", "/poll/lunch", { query = { full = "1" } }).json)
    assert.same({ votes = 1, from = "192.0.2.7:1" },
      poll:request("GET", "/poll/lunch", { from = "192.0.2.7:1" }).json)
  end))

  it("lets virtual time pass while the hook waits", with_poll(function(poll)
    local began = poll.node:network():now()
    assert.equal(204, poll:request("POST", "/poll/lunch",
      { body = '{"seconds":1}' }).status)
    assert.is_near(1, poll.node:network():now() - began, 0.01)
    local late = poll:request("POST", "/poll/lunch",
      { json = { seconds = 60 } })
    assert.equal(504, late.status)
  end))

  it("reports failures", with_poll(function(poll, path)
    local broken = poll:request("GET", "/broken")
    assert.equal(500, broken.status)
    assert.equal("poll: http.GET /broken", poll.failures[1].hook)
    assert.equal(path .. ":22: a broken rule", poll.failures[1].error)
  end))

  it("blames its caller", with_poll(function(poll)
    support.assert_blames_caller("method must be a string", function()
      poll:request()
    end)
    support.assert_blames_caller("unknown option 'boddy'", function()
      poll:request("GET", "/a", { boddy = "" })
    end)
    support.assert_blames_caller("call policy:request(GET /broken)", function()
      poll:call("http.GET /broken", {})
    end)
  end))
end)

describe("overlay:request of kadenza.testing", function()
  it("sends a request to a node", spec(function()
    local files <close> = policies.files()
    local overlay <close> = testing.overlay({ nodes = 3,
      policies = { files:write(POLL, "poll.lua") } })
    overlay:perform(function()
      assert.equal(204, overlay:request(2, "POST", "/poll/lunch",
        { json = { seconds = 1 } }).status)
      assert.equal(1, overlay:request(2, "GET", "/poll/lunch").json.votes)
      assert.equal(404, overlay:request(3, "GET", "/poll/lunch").status)
    end)
    local node = overlay.nodes[2]
    assert.equal(1, overlay:request(node, "GET", "/poll/lunch").json.votes)
    support.assert_blames_caller("not a node of this overlay", function()
      overlay:request(9, "GET", "/")
    end)
  end))
end)

-- What policies serve over HTTP, with the program and its server.
--
-- Tests scripts/kadenza/web/policies.lua.

local core = require("kadenza.core")
local dkjson = require("dkjson")
local http = require("tests.spec.support.http")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

local TOKEN <const> = "0123456789abcdef"

local POLL <const> = [[
local kad = require("kadenza")
local votes = 0

return {
  name = "poll", deadline = 1,
  http = {
    ["GET /poll/:name"] = function(request, ctx)
      return { json = { name = request.params.name, votes = votes,
        query = request.query, agent = request.headers["user-agent"],
        from = request.from } }
    end,
    ["POST /poll/:name"] = { public = true, run = function(request)
      kad.sleep(0.01)
      if request:json() ~= request.params.name then
        return nil, "no such poll", 404
      end
      votes = votes + 1
      return { status = 204, headers = { ["X-Votes"] = votes } }
    end },
    ["DELETE /poll/:name"] = function()
      votes = 0
      return { body = "deleted" }
    end,
    ["GET /fails"] = function()
      error("a broken rule")
    end,
    ["GET /waits"] = function()
      kad.sleep(60)
    end,
    ["GET /:key"] = function(request)
      return { body = "the key " .. request.params.key }
    end,
  },
}
]]

describe("policies of kadenza run --http", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    http.close_all()
    process.end_all()
    remove()
  end)

  local function write(name, text)
    local path = folder .. "/" .. name
    local _ = core.exists(path) or assert(core.create_file(path, ""))
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
    return path
  end

  local function start(...)
    local node = process.start_node({ "--http", "127.0.0.1:0", "--policy",
      write("poll.lua", POLL), ... })
    node.http = node.stdout:match("kadenza: serving http://(%S+)/\n")
    return node
  end

  local function ask(node, ...)
    return http.request(nil, node.http, ...)
  end

  local function json(reply)
    return assert(dkjson.decode(reply.body), reply.body)
  end

  it("serve requests, and wait", function()
    local node = start()
    local got = ask(node, "GET", "/poll/a%20b?full=1&x",
      { ["User-Agent"] = "u" })
    assert.equal(200, got.status)
    assert.equal("application/json", got.headers["content-type"])
    local shown = json(got)
    assert.equal("a b", shown.name)
    assert.equal(0, shown.votes)
    assert.same({ full = "1", x = "" }, shown.query)
    assert.equal("u", shown.agent)
    assert.matches("^127%.0%.0%.1:%d+$", shown.from)

    local posted = ask(node, "POST", "/poll/lunch", {}, '"lunch"')
    assert.equal(204, posted.status)
    assert.equal("1", posted.headers["x-votes"])
    assert.equal("", posted.body)
    assert.equal(1, json(ask(node, "GET", "/poll/lunch")).votes)
    local head = ask(node, "HEAD", "/poll/lunch")
    assert.equal(200, head.status)
    assert.equal("", head.body)
  end)

  it("answer with errors as the server's own", function()
    local node = start()
    local refused = ask(node, "POST", "/poll/lunch", {}, '"dinner"')
    assert.equal(404, refused.status)
    assert.same({ code = "not_found", message = "no such poll" },
      json(refused).error)
    local failed = ask(node, "GET", "/fails")
    assert.equal(500, failed.status)
    assert.same({ code = "internal_server_error",
      message = "the policy failed" }, json(failed).error)
    assert.matches("a broken rule", node:wait_for("a policy failed[^\n]*\n",
      "stderr"), 1, true)
    local late = ask(node, "GET", "/waits")
    assert.equal(504, late.status)
    assert.equal("gateway_timeout", json(late).error.code)
    local large = ask(node, "POST", "/poll/lunch", {}, ("x"):rep(65537))
    assert.equal(413, large.status)
    assert.equal("content_too_large", json(large).error.code)
    local wrong = ask(node, "PUT", "/poll/lunch", {}, "")
    assert.equal(405, wrong.status)
    assert.matches("DELETE, GET, HEAD, OPTIONS, POST", wrong.headers.allow, 1,
      true)
  end)

  it("need the token to write, unless they are public", function()
    local node = start()
    assert.equal(403, ask(node, "DELETE", "/poll/lunch").status)
    assert.equal(403, ask(node, "POST", "/poll/lunch",
      { Origin = "http://evil.example" }, '"lunch"').status)
    local guarded = start("--http-token-file", write("token", TOKEN .. "\n"))
    assert.equal(401, ask(guarded, "DELETE", "/poll/lunch").status)
    local deleted = ask(guarded, "DELETE", "/poll/lunch",
      { Authorization = "Bearer " .. TOKEN })
    assert.equal("deleted", deleted.body)
    assert.equal("text/plain; charset=utf-8", deleted.headers["content-type"])
  end)

  it("do not take the paths of the node", function()
    local node = start()
    assert.equal("the key abc", ask(node, "GET", "/abc").body)
    assert.equal("the key a/b", ask(node, "GET", "/a%2Fb").body)
    assert.equal(404, ask(node, "GET", "/health").status)
    assert.equal(200, ask(node, "GET", "/health/live").status)
  end)

  it("change with a reload", function()
    local node = start()
    assert.equal(404, ask(node, "GET", "/new/route").status)
    write("poll.lua", [[ return { http = {
      ["GET /new/route"] = function() return { body = "new" } end } } ]])
    node:kill("sighup")
    http.drive(nil, function()
      return ask(node, "GET", "/new/route").status == 200
    end)
    assert.equal("new", ask(node, "GET", "/new/route").body)
    assert.equal(404, ask(node, "GET", "/poll/lunch").status)
    write("poll.lua", "return { http = 7 }")
    node:kill("sighup")
    node:wait_for("http must be a table[^\n]*\n", "stderr")
    assert.equal("new", ask(node, "GET", "/new/route").body)
  end)

  it("do not hold up the end of the node", function()
    local node = start()
    local client = http.connect(node.http)
    client:send("GET /waits HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert.equal(200, ask(node, "GET", "/abc").status)
    node:kill("sigterm")
    assert.equal(0, node:wait())
  end)
end)

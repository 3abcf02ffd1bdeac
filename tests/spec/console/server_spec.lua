-- Tests scripts/kadenza/console/server.lua,
-- scripts/kadenza/console/console.lua.

local consoles = require("tests.spec.support.console")
local core = require("kadenza.core")
local kad = require("kadenza")
local log = require("kadenza.log")
local server = require("kadenza.console.server")
local support = require("tests.spec.support")
local task = require("kadenza.task")

describe("the consoles of a node", function()
  local folder, remove, path, events

  before_each(function()
    folder, remove = support.temporary_folder()
    path = folder .. "/console"
    events = {}
  end)

  after_each(function()
    remove()
  end)

  local handlers = {
    hello = function(request)
      return { text = "hello " .. (request.name or "you") }
    end,
    deny = function()
      return nil, "not today", "KAD_EREFUSED"
    end,
    fail = function()
      error("a bug")
    end,
    big = function(request)
      return { text = ("x"):rep(request.size) }
    end,
    nap = function()
      kad.sleep(0.02)
      return { text = "rested" }
    end,
  }

  -- Runs a body with a server.
  local function with_server(body)
    return function()
      local before = log.configure({ sink = function(event)
        events[#events + 1] = event.message
      end })
      local _ <close> = setmetatable({}, { __close = function()
        log.restore(before)
      end })
      kad.run(function()
        local own = assert(server.open(path))
        own:start(task.network(), handlers)
        body(own)
        own:close()
      end, { timeout = 30 })
    end
  end

  local function eventually(what)
    for _ = 1, 2000 do
      if what() then
        return
      end
      kad.sleep(0.005)
    end
    error("it did not happen", 2)
  end

  it("are answered, one request after the other", with_server(function()
    local peer = consoles.connect(path)
    assert.equal('{"id":1,"ok":{"text":"hello you"}}',
      peer:ask('{"id":1,"command":"hello"}'))
    assert.equal('{"id":"x","ok":{"text":"hello a"}}',
      peer:ask('{"id":"x","command":"hello","name":"a"}'))
    assert.equal('{"id":null,"ok":{"text":"hello you"}}',
      peer:ask('{"command":"hello"}'))
    assert.equal('{"id":2,"error":{"code":"KAD_EREFUSED",'
      .. '"message":"not today"}}', peer:ask('{"id":2,"command":"deny"}'))
    peer:send('{"id":3,"command":"nap"}\n{"id":4,"command":"hello"}\n\n'
      .. '{"id":5,"command":"hello"}\n')
    assert.matches('^{"id":3,', peer:line())
    assert.matches('^{"id":4,', peer:line())
    assert.matches('^{"id":5,', peer:line())
  end))

  it("are served side by side", with_server(function(own)
    local slow, quick = consoles.connect(path), consoles.connect(path)
    slow:send('{"id":1,"command":"nap"}\n')
    assert.matches("hello", quick:ask('{"id":1,"command":"hello"}'))
    assert.matches("rested", slow:line())
    assert.equal(2, own:stats().open)
    slow:close()
    quick:close()
    eventually(function()
      return own:stats().open == 0
    end)
  end))

  it("get an error for what is no request", with_server(function(own)
    local peer = consoles.connect(path)
    for _, line in ipairs({ "x", "{", "[1]", "7", '"text"', '{"a":1} x',
      '{"command":"hello"', "\255\254\0", '{"command":"h\xc3', "\xc3",
      ("["):rep(60000), ('{"a":'):rep(10000), '{"id":[],"command":"hello"}',
      '{"command":7}', '{"id":1}', '{"command":"nothing of this name"}' }) do
      local reply = peer:ask(line)
      assert.matches('^{"id":%w+,"error":{"code":"KAD_E%u+","message":', reply)
    end
    assert.equal(16, own:stats().refused)
    assert.matches("hello", peer:ask('{"id":1,"command":"hello"}'))
  end))

  it("may send a request byte by byte", with_server(function()
    local peer = consoles.connect(path)
    local request = '{"id":1,"command":"hello","name":"é"}\n'
    for at = 1, #request do
      peer:send(request:sub(at, at))
      kad.sleep(0)
    end
    assert.equal('{"id":1,"ok":{"text":"hello é"}}', peer:line())
  end))

  it("are closed after a line without an end", with_server(function(own)
    local peer = consoles.connect(path)
    peer:send(("x"):rep(1 << 20))
    assert.matches("KAD_ETOOBIG", peer:line())
    assert.is_nil(peer:line())
    assert.equal(0, own:stats().open)
  end))

  it("learn that the node has failed, and the log says how",
    with_server(function(own)
      local peer = consoles.connect(path)
      assert.matches('"code":"KAD_ESYSTEM","message":"the node failed',
        peer:ask('{"id":1,"command":"fail"}'))
      assert.same({ "a request of a console failed" }, events)
      assert.equal(1, own:stats().failed)
      assert.matches("hello", peer:ask('{"id":1,"command":"hello"}'))
    end))

  it("get large replies, as fast as they read them", with_server(function()
    local peer = consoles.connect(path)
    peer:send('{"id":1,"command":"big","size":3000000}\n')
    local other = consoles.connect(path)
    assert.matches("hello", other:ask('{"id":1,"command":"hello"}'))
    assert.equal(3000000 + #'{"id":1,"ok":{"text":""}}', #peer:line())
  end))

  it("are dropped if they do not read what they ask for",
    with_server(function(own)
      local peer = consoles.connect(path)
      for _ = 1, 40 do
        peer:send('{"id":1,"command":"big","size":100000}\n')
      end
      eventually(function()
        return own:stats().dropped == 1
      end)
      assert.equal(0, own:stats().open)
      assert.is_true(own:stats().requests < 30)
      assert.same({ "a console was dropped: it does not read what it asked "
        .. "for" }, events)
    end))

  it("end while their request runs, which ends too", with_server(function(own)
    local ended = false
    own.handlers.wait = function()
      local _ <close> = setmetatable({}, { __close = function()
        ended = true
      end })
      kad.sleep(1000)
    end
    local peer = consoles.connect(path)
    peer:send('{"command":"wait"}\n')
    eventually(function()
      return own:stats().requests == 1
    end)
    own:close()
    assert.is_true(ended)
  end))

  it("are sent events until they close", with_server(function(own)
    local closed = false
    own.handlers.count = function(_, console)
      console:stream(function()
        closed = true
      end)
      local number = 0
      repeat
        number = number + 1
      until number > 3 or not console:event({ number = number })
      kad.sleep(1000)
    end
    local peer = consoles.connect(path)
    assert.equal('{"id":7,"event":{"number":1}}',
      peer:ask('{"id":7,"command":"count"}'))
    assert.equal('{"id":7,"event":{"number":2}}', peer:line())
    assert.equal('{"id":7,"event":{"number":3}}', peer:line())
    peer:close()
    eventually(function()
      return closed
    end)
    assert.equal(0, own:stats().open)
  end))

  it("are 16 at most; the others are told", with_server(function(own)
    local peers = {}
    for i = 1, 17 do
      peers[i] = consoles.connect(path)
    end
    assert.matches('"code":"KAD_EFULL","message":"16 consoles are open',
      peers[17]:line())
    assert.is_nil(peers[17]:line())
    assert.matches("hello", peers[16]:ask('{"id":1,"command":"hello"}'))
    peers[1]:close()
    eventually(function()
      return own:stats().open == 15
    end)
    local peer = consoles.connect(path)
    assert.matches("hello", peer:ask('{"id":1,"command":"hello"}'))
    assert.equal(1, own:stats().turned_away)
  end))

  it("may come and go by the thousand", with_server(function(own)
    local node <close> = assert(kad.node({ listen = "127.0.0.1:0",
      allow_local = true }))
    local other <close> = assert(kad.node({ listen = "127.0.0.1:0",
      allow_local = true }))
    for i = 1, 1000 do
      local peer = consoles.connect(path)
      peer.socket:write(i % 2 == 0 and "\0\255half a line"
        or '{"command":\n', 1)
      if i % 3 ~= 0 then
        peer:close()
      end
      if i % 20 == 0 then
        kad.sleep(0)
        collectgarbage() -- closes the others
      end
    end
    assert(node:ping(other:addresses()[1]))
    collectgarbage()
    eventually(function()
      return own:stats().open == 0
    end)
    local stats = own:stats()
    assert.equal(1000, stats.accepted + stats.turned_away)
    local peer = consoles.connect(path)
    assert.matches("hello", peer:ask('{"id":1,"command":"hello"}'))
  end))

  describe("have a socket", function()
    it("that is removed at the end, with its lock", with_server(function(own)
      own:close()
      own:close()
      assert.same({}, core.list_folder(folder, 10))
    end))

    it("that replaces one whose node has crashed", function()
      local left = assert(core.listen_local(path))
      os.rename(path, path .. ".kept")
      left:close()
      os.rename(path .. ".kept", path)
      local own = assert(server.open(path))
      assert.is_true(core.is_local_socket(path))
      own:close()
    end)

    it("that replaces nothing else", function()
      local own = assert(server.open(path))
      local second, message, code = server.open(path)
      assert.is_nil(second)
      assert.equal(path .. ": another node has its console there", message)
      assert.equal("KAD_EBUSY", code)
      assert.is_true(core.is_local_socket(path))
      own:close()

      local foreign = assert(core.listen_local(path))
      second, message, code = server.open(path)
      assert.is_nil(second)
      assert.matches("another program listens", message)
      assert.equal("KAD_EADDRINUSE", code)
      foreign:close()

      local file = assert(io.open(path, "w"))
      file:write("kept")
      file:close()
      second, message, code = server.open(path)
      assert.is_nil(second)
      assert.matches("not a socket", message)
      assert.equal("KAD_EADDRINUSE", code)
      assert.same({ "console" }, core.list_folder(folder, 10))
    end)

    it("whose folder must exist, and whose path must be short", function()
      local own, message = server.open(folder .. "/none/console")
      assert.is_nil(own)
      assert.matches("No such file", message)
      own, message = server.open(folder .. "/" .. ("x"):rep(100))
      assert.is_nil(own)
      assert.matches("at most 107 bytes", message)
      assert.same({}, core.list_folder(folder, 10))
    end)
  end)
end)

-- Names and a name server: what a dead, slow or changing one does to a node.
-- Tests scripts/kadenza/bootstrap.lua, core/net/udp/udp_resolve.c.

local name_server = require("support.name_server")
local process = require("support.process")
local uv = require("luv")

-- Seconds that a command may take which waits for no name.
local AT_ONCE <const> = 2

local folder, server, started

local function with_server(body, addresses)
  return function()
    local problem
    server, problem = name_server.start(folder, addresses)
    if not server then
      pending(problem)
      return
    end
    started = uv.hrtime()
    body()
  end
end

local function seconds()
  return (uv.hrtime() - started) / 1e9
end

-- Runs a command in the namespace; returns it and the seconds that it took.
local function timed(args, options)
  local before = seconds()
  local done = server:run(args, options)
  return done, seconds() - before
end

local function port_of(node)
  return node.address:match("%d+$")
end

-- A Lua program, with the module of the tree.
local function lua(text)
  local root = process.folder()
  local path = folder .. "/program.lua"
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return { path }, {
    path = "/usr/bin/env",
    env = {
      LUA_PATH = root .. "/scripts/?.lua;" .. root .. "/scripts/?/init.lua;;",
      LUA_CPATH = root .. "/" .. (os.getenv("BUILD") or "build")
        .. "/lua/?.so;;",
    },
  }
end

local function run_lua(text)
  local args, options = lua(text)
  table.insert(args, 1, os.getenv("LUA") or "lua5.4")
  return timed(args, options)
end

describe("names of a node", function()
  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(uv.fs_mkdir(folder, 448))
  end)

  after_each(function()
    process.end_all()
    os.execute("rm -rf '" .. folder .. "'")
  end)

  it("hang, and the node listens at once and ends at once",
    with_server(function()
      server:set_zone("a.test hang\nb.test hang\n")
      local node = server:start_node("127.0.0.1:0", {
        "--bootstrap", "a.test:1", "--bootstrap", "b.test:1" })
      node:wait_for("state=joining", "stderr")
      assert.is_true(seconds() < AT_ONCE)

      node:kill("sigterm")
      assert.equal(0, node:wait(AT_ONCE))
    end))

  it("cannot be resolved, which is a warning and a state, and then can",
    with_server(function()
      local seed = server:start_node("127.0.0.1:0")
      local node = server:start_node("127.0.0.1:0", {
        "--bootstrap", "seed.test:" .. port_of(seed) })
      node:wait_for("state=joining", "stderr")
      node:wait_for('warn a bootstrap name cannot be resolved error="%-%-'
        .. 'bootstrap seed.test:%d+: name could not be resolved" reason="no '
        .. 'name server answers"', "stderr")
      node:wait_for('reason="no name server answers for seed.test:%d+"',
        "stderr")
      assert.is_nil(node.status)

      server:set_zone("seed.test 127.0.0.1\n")
      node:wait_for("state=healthy", "stderr")
      node:wait_for("info a bootstrap name is resolved", "stderr")
    end))

  it("are answered after they have failed, and the next join joins",
    with_server(function()
      local seed = server:start_node("127.0.0.1:0")
      server:set_options("timeout:60 attempts:1")
      server:set_zone("late.test delay=16 127.0.0.1\n")
      local node = server:start_node("127.0.0.1:0", {
        "--bootstrap", "late.test:" .. port_of(seed) })
      -- A name fails after 15 seconds, as long as the wait takes.
      pcall(node.wait_for, node, "a bootstrap name cannot be", "stderr")
      node:wait_for("a bootstrap name cannot be resolved", "stderr")
      node:wait_for("state=healthy", "stderr")
    end))

  it("change, and the next join follows", with_server(function()
    local seed = server:start_node("127.0.0.2:0")
    server:set_zone("seed.test 127.0.0.9\n")
    local node = server:start_node("127.0.0.1:0", {
      "--bootstrap", "seed.test:" .. port_of(seed) })
    node:wait_for("could not join yet", "stderr")

    server:set_zone("seed.test 127.0.0.2\n")
    node:wait_for("state=healthy", "stderr")
  end))

  it("do not exist, and the good ones beside them cost nothing",
    with_server(function()
      local seed = server:start_node("127.0.0.1:0")
      server:set_zone("good.test 127.0.0.1\nslow.test hang\n")
      local good = "good.test:" .. port_of(seed)
      for _, names in ipairs({
        { "slow.test:1", good },
        { "slow.test:1", "nowhere.test:1", seed.address },
      }) do
        local args = { "put", "a", "b", "--allow-local" }
        for _, name in ipairs(names) do
          args[#args + 1] = "--bootstrap"
          args[#args + 1] = name
        end
        local done, took = timed(args)
        assert.equal(0, done.status, done.stderr)
        assert.is_true(took < AT_ONCE)
      end
    end))

  it("hang by the dozen, and do not starve a good one",
    with_server(function()
      local seed = server:start_node("127.0.0.1:0")
      local zone = { "good.test 127.0.0.1" }
      local args = { "put", "a", "b", "--allow-local" }
      for i = 1, 40 do
        zone[#zone + 1] = ("slow%d.test hang"):format(i)
        args[#args + 1] = "--bootstrap"
        args[#args + 1] = ("slow%d.test:1"):format(i)
      end
      args[#args + 1] = "--bootstrap"
      args[#args + 1] = "good.test:" .. port_of(seed)
      server:set_zone(table.concat(zone, "\n"))

      local done, took = timed(args)

      assert.equal(0, done.status, done.stderr)
      assert.is_true(took < AT_ONCE)
    end))

  it("hang, and a signal ends a command at once", with_server(function()
    server:set_zone("slow.test hang\n")
    for _, args in ipairs({
      { "ping", "slow.test:1" },
      { "get", "a", "--bootstrap", "slow.test:1" },
    }) do
      local command = server:start(args)
      for _ = 1, 200 do
        if server:queries("slow.test") > 0 then
          break
        end
        uv.sleep(20)
      end
      command:kill("sigint")
      command:wait(AT_ONCE)
      assert.equal(2, command.signal)
      os.remove(folder .. "/queries")
    end
  end))

  it("hang, and a timeout of a program ends at once", with_server(function()
    server:set_zone("slow.test hang\n")
    local done, took = run_lua([[
      local kad = require("kadenza")
      kad.run(function()
        local node = assert(kad.node { listen = "127.0.0.1:0" })
        print(kad.timeout(0.2, function()
          return node:bootstrap("slow.test:1")
        end))
        print(kad.timeout(0.2, function()
          return node:ping("slow.test:1")
        end))
        print(node:names()[1].state, node:state())
      end)
    ]])
    assert.equal("nil\ttimeout\tKAD_ETIMEOUT\nnil\ttimeout\tKAD_ETIMEOUT\n"
      .. "resolving\tjoining\n", done.stdout:gsub("\tnil\n", "\n"), done.stderr)
    assert.is_true(took < AT_ONCE)
  end))

  it("answer after the Lua state has closed", with_server(function()
    server:set_zone("slow.test delay=0.5 127.0.0.1\n")
    local done, took = run_lua([[
      local kad = require("kadenza")
      for _ = 1, 20 do
        kad.run(function()
          local node = assert(kad.node { listen = "127.0.0.1:0" })
          kad.timeout(0.01, function()
            return node:bootstrap("slow.test:1")
          end)
        end)
      end
      package.loaded["kadenza.core"] = nil
      collectgarbage()
      os.execute("sleep 0.7") -- the answers come to threads without a network
      print("alive")
    ]])
    assert.equal("alive\n", done.stdout, done.stderr)
    assert.equal(0, done.status)
    assert.is_true(took < AT_ONCE + 2)
  end))

  it("have several addresses, and all are used", with_server(function()
    local seed = server:start_node("127.0.0.3:0")
    local port = port_of(seed)
    server:set_zone("many.test 127.0.0.8 ::1 127.0.0.9 127.0.0.3\n"
      .. "six.test ::1\n")
    local done, took =
      timed({ "ping", "many.test:" .. port, "--allow-local" })
    assert.equal(0, done.status, done.stderr)
    assert.is_true(took < AT_ONCE)

    done = server:run({ "put", "a", "b", "--allow-local", "--bootstrap",
      "many.test:" .. port })
    assert.equal(0, done.status, done.stderr)

    local node6 = server:start_node("[::1]:0")
    done = server:run({ "ping", "six.test:" .. port_of(node6),
      "--allow-local" })
    assert.equal(0, done.status, done.stderr)
  end))

  it("have a hundred addresses, of which some are used", with_server(function()
    local addresses = {}
    for i = 1, 100 do
      addresses[i] = "127.0.1." .. i
    end
    server:set_zone("huge.test " .. table.concat(addresses, " ") .. "\n")
    local done, took = run_lua([[
      local kad = require("kadenza")
      kad.run(function()
        local node = assert(kad.node { listen = "127.0.0.1:0",
          allow_local = true })
        node:bootstrap("huge.test:9", function() end)
        repeat
          kad.sleep(0.05)
        until node:names()[1].state ~= "resolving"
        print(node:names()[1].state, #node:names()[1].addresses)
      end)
    ]])
    assert.equal("resolved\t32\n", done.stdout, done.stderr)
    assert.is_true(took < AT_ONCE)
  end))

  it("lead to local addresses, which need --allow-local",
    with_server(function()
      server:set_zone("lan.test 10.1.2.3\nboth.test 10.1.2.3 2001:db8::1\n")
      local done, took = timed({ "get", "a", "--bootstrap", "lan.test:9" })
      assert.equal("kadenza: --bootstrap lan.test:9 leads to 10.1.2.3:9, a "
        .. "local address, which needs --allow-local\n", done.stderr)
      assert.equal(1, done.status)
      assert.is_true(took < AT_ONCE)

      done = server:run({ "ping", "lan.test:9" })
      assert.equal("kadenza: lan.test:9 leads to a local address, which needs "
        .. "--allow-local\n", done.stderr)

      local node = server:start({ "run", "--listen", "127.0.0.1:0",
        "--bootstrap", "lan.test:9" })
      node:wait_for('could not join yet, trying again error="lan.test:9 leads '
        .. 'to 10.1.2.3:9, a local address, which needs %-%-allow%-local"',
        "stderr")
    end))

  it("lead to addresses of use and to others, which are named",
    with_server(function()
      local seed = server:start_node("127.0.0.1:0")
      server:set_zone("both.test 0.0.0.0 2001:db8::1 127.0.0.1\n")
      local node = server:start_node("127.0.0.2:0", {
        "--bootstrap", "both.test:" .. port_of(seed),
        "--bootstrap", "[2001:db8::2]:9" })
      node:wait_for("state=healthy", "stderr")
      node:wait_for('a bootstrap address is left out error="%[2001:db8::2%]:9 '
        .. "is an IPv6 address, and no socket", "stderr")
      node:wait_for('a bootstrap address is left out error="%-%-bootstrap '
        .. 'both.test:%d+ leads to 0.0.0.0:%d+, no address of a node"',
        "stderr")
    end))

  it("lead to a family that no socket serves", with_server(function()
    server:set_zone("six.test 2001:db8::1\n")
    local ping = server:run({ "ping", "[2001:db8::1]:9", "--listen",
      "127.0.0.1:0" })
    assert.equal("kadenza: [2001:db8::1]:9 is an IPv6 address, and no socket "
      .. "of this node serves IPv6 (listen on [::]:0, too)\n", ping.stderr)
    for _, name in ipairs({ "six.test:9", "[2001:db8::1]:9" }) do
      local done = server:run({ "get", "a", "--listen", "127.0.0.1:0",
        "--allow-local", "--bootstrap", name })
      assert.matches("an IPv6 address, and no socket of this node serves IPv6",
        done.stderr, 1, true)
      assert.equal(1, done.status)
    end
  end))

  it("lead to the node itself, which then joins through no node",
    with_server(function()
      server:set_zone("me.test 10.77.0.1\nboth.test 2001:db9::1 10.77.0.1\n")
      for _, name in ipairs({ "me.test", "both.test", "10.77.0.1",
        "127.0.0.5" }) do
        local args = { "run", "--listen", "0.0.0.0:7001", "--allow-local" }
        local node = server:start(args,
          { env = { KADENZA_BOOTSTRAP = name .. ":7001" } })
        node:wait_for("info the bootstrap addresses are this node's own",
          "stderr")
        assert.is_nil(node.stderr:match("[^\n]*warn[^\n]*"))
        if name:find("test") then
          node:wait_for("state=new", "stderr") -- it had to be resolved
        else
          assert.is_nil(node.stderr:match("state=joining"))
        end
        node:kill("sigterm")
        assert.equal(0, node:wait())
      end
    end, { "10.77.0.1" }))
end)

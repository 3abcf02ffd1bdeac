local core = require("kadenza.core")
local dkjson = require("dkjson")
local http = require("tests.spec.support.http")
local process = require("tests.spec.support.process")
local support = require("tests.spec.support")

describe("kadenza run --http", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    http.close_all()
    process.end_all()
    remove()
  end)

  -- Starts a node that serves HTTP; the process has its address as `http`.
  local function start(args, options)
    local all = { "--http", "127.0.0.1:0" }
    table.move(args or {}, 1, #(args or {}), #all + 1, all)
    local node = process.start_node(all, options)
    node.http = node.stdout:match("kadenza: serving http://(%S+)/\n")
    return node
  end

  local function ask(node, ...)
    return http.request(nil, node.http, ...)
  end

  -- Runs a node that must not start; returns its message.
  local function fail(status, ...)
    local done = process.run({ "run", "--listen", "127.0.0.1:0",
      "--allow-local", ... })
    assert.equal("", done.stdout)
    assert.equal(status, done.status)
    return done.stderr
  end

  local function write(name, text, is_shared)
    local path = folder .. "/" .. name
    local _ = core.exists(path) or assert(core.create_file(path, ""))
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
    if is_shared then
      os.execute(("chmod 640 '%s'"):format(path))
    end
    return path
  end

  it("says where it serves before it says that it listens", function()
    local node = start({ "--http", "127.0.0.2:0" })

    assert.matches("^kadenza: serving http://127%.0%.0%.1:%d+/\n"
      .. "kadenza: serving http://127%.0%.0%.2:%d+/\n"
      .. "kadenza: listening on 127%.0%.0%.1:%d+ id=%x+\n$", node.stdout)
    assert.equal(200, ask(node, "GET", "/health/live").status)
    node:kill("sigterm")
    assert.equal(0, node:wait())
  end)

  it("is ready while another node answers", function()
    local node = start()
    local alone = ask(node, "GET", "/health/ready")
    assert.equal(503, alone.status)
    assert.equal("5", alone.headers["retry-after"])
    assert.equal("no other node is known yet",
      dkjson.decode(alone.body).error.message)

    process.start_node({ "--bootstrap", node.address })
    local reply
    http.drive(nil, function()
      reply = ask(node, "GET", "/health/ready")
      return reply.status == 200
    end)
    assert.equal(1, dkjson.decode(reply.body).contacts)
  end)

  it("does not start on a port that is taken", function()
    local node = start()
    assert.equal(("kadenza: --http %s: bind: Address already in use\n")
      :format(node.http), fail(1, "--http", node.http))
  end)

  -- Starts a node that may have only so many files.
  local function start_with_files(count, ...)
    return process.start({ "-c", ('ulimit -n %d; exec "$@"'):format(count),
      "sh", process.program(), "run", "--listen", "127.0.0.1:0",
      "--allow-local", ... }, { path = "/bin/sh" })
  end

  it("leaves files for the node, with several addresses too", function()
    local node = start_with_files(70, "--http", "127.0.0.1:0", "--http",
      "127.0.0.2:0")
    node:wait_for("start: Too many open files\n", "stderr")
    assert.equal(1, node:wait())
    assert.equal("", node.stdout)
  end)

  it("takes as many connections as it may have files", function()
    local node = start_with_files(96, "--http", "127.0.0.1:0")
    node:wait_for("listening on", "stdout")
    node.http = node.stdout:match("kadenza: serving http://(%S+)/\n")
    node:wait_for("fewer HTTP connections .* connections=16", "stderr")

    for _ = 1, 100 do
      http.connect(node.http)
    end
    assert.equal(200, ask(node, "GET", "/health/live").status)
  end)

  it("does not start with a wrong option", function()
    assert.matches("^kadenza: %-%-http must be an address such as .*, not "
      .. "'localhost:80'\n$", fail(2, "--http", "localhost:80"))
    assert.matches("^kadenza: %-%-http%-origin must be an origin such as .*, "
      .. "not 'example.org'\n$", fail(2, "--http-origin", "example.org"))
    assert.matches("^kadenza: %-%-http%-host must be a name such as .*, "
      .. "not 'a:1'\n$", fail(2, "--http-host", "a:1"))
  end)

  it("does not start with a token file that it cannot use", function()
    local function failure(path)
      local message = fail(2, "--http", "127.0.0.1:0", "--http-token-file",
        path)
      return message:match("^kadenza: %-%-http%-token%-file " .. path
        .. ": (.*)\n$") or message
    end

    assert.equal("open: No such file or directory", failure(folder .. "/none"))
    assert.equal("it is empty", failure(write("empty", "\n")))
    assert.equal("the token has fewer than 16 characters",
      failure(write("short", "0123456789abcde\n")))
    assert.equal("a token is one line of letters, digits and -._~+/=",
      failure(write("lines", "0123456789abcdef\n0123456789abcdef\n")))
    assert.equal("other users may read or change it: run `chmod 600` on it",
      failure(write("shared", "0123456789abcdef\n", true)))
  end)

  it("reads the token and the sites again at SIGHUP", function()
    local token = write("token", "0123456789abcdef\n")
    local config = write("config.lua", "{}")
    local node = start({ config, "--http-token-file", token })
    local function shares()
      return ask(node, "GET", "/health/live", { Origin = "https://a.example" })
        .headers["access-control-allow-origin"]
    end
    assert.is_nil(shares())

    write("config.lua", '{ http_origin = "https://a.example" }')
    node:kill("sighup")
    http.drive(nil, shares)
    write("token", "short")
    write("config.lua", "{}")
    node:kill("sighup")
    node:wait_for("http%-token%-file .*: the token has fewer", "stderr")
    assert.equal("https://a.example", shares())
  end)

  it("stays up when its clients misbehave", function()
    local node = start()
    for _ = 1, 50 do
      http.connect(node.http):send(("GET /%z HTTP/1.1\r\n\r\n"):rep(100))
    end
    assert.equal(200, ask(node, "GET", "/health/live").status)
    assert.equal(0, process.run({ "ping", node.address,
      "--allow-local" }).status)
  end)
end)

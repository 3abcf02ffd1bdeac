local core = require("kadenza.core")
local screen = require("kadenza.cli.status_screen")

describe("the screen of a status", function()
  local function window(seconds, factor)
    return { seconds = seconds, rates = { datagrams_in = 12.34 * factor,
      bytes_in = 2500 * factor, served_ping = 1 * factor,
      served_store = 2 * factor, dropped_martian = 3 * factor,
      dropped_limited = 4 * factor } }
  end

  -- A status as it comes from a node; `more` replaces fields.
  local function status(more)
    local all = {
      version = "0.1.0", pid = 77, uptime = 93784.2, state = "healthy",
      id = ("ab"):rep(20), addresses = { "0.0.0.0:6881", "[::]:6881" },
      reachability = { ip4 = { state = "reachable" },
        ip6 = { state = "unreachable", read_only = true } },
      network_size = 12345,
      contacts = { total = 132, good = 120, secure = 1, buckets = {
        { bucket = 0, contacts = 20, good = 18 },
        { bucket = 7, contacts = 8, good = 8 } } },
      records = { total = 1234, bytes = 1.2e6, max_records = 200000,
        max_bytes = 67108864, published = 3,
        types = { value = 34, peers = 1200 } },
      rates = { minute = window(61.2, 1), quarter = window(905, 0.1) },
      policies = { files = { "counter.lua" }, memory = 65536 },
      hooks = { { name = "counter: counter.validate", calls = 1200, errors = 1,
        overruns = 0, seconds = 0.012, slowest = 0.0008,
        breaker_open = false } },
      reload = { ago = 7200, succeeded = true, changed = { "k", "alpha" },
        problems = {}, needs_restart = { "listen" } },
      consoles = { open = 2, requests = 1, dropped = 0 },
    }
    for name, value in pairs(more or {}) do
      all[name] = value
    end
    return all
  end

  local TEXT <const> = [[
State        healthy, 132 contacts
Running      for 1 d 2 h, kadenza 0.1.0, process 77
Id           abababababababababababababababababababab
Listens on   0.0.0.0:6881, [::]:6881
Reachable    IPv4 reachable, IPv6 unreachable (read-only)
Network      about 12,345 nodes
Contacts     132, 120 of them good
by bucket    0:20 7:8
Records      1,234 of at most 200,000, 1.20 MB of 67.1 MB; 3 published
by type      peers 1,200, value 34
Policies     counter.lua; 65.5 kB of memory
Reload       2 h 0 min ago: changed k, alpha; a restart is needed for listen
Consoles     2 open, 1 request

A second, over            1 min  15 min
  datagrams received       12.3    1.23
  datagrams sent              0       0
  bytes received        2.50 kB   250 B
  bytes sent                0 B     0 B
  queries answered         3.00    0.30
  of them stores           2.00    0.20
  queries refused             0       0
  datagrams dropped        7.00    0.70
  queries sent                0       0
  replies received            0       0
  queries not answered        0       0
  lookups                     0       0

Hook                         calls  errors  overruns   mean  slowest
  counter: counter.validate  1,200       1         0  10 µs   800 µs
]]

  it("is as this", function()
    assert.equal(TEXT, screen.text(status()))
    assert.equal(TEXT, screen.text(status(), 80))
  end)

  it("fits narrow terminals", function()
    for _, columns in ipairs({ 79, 40, 24 }) do
      local text = screen.text(status({ hooks = { { name = ("x"):rep(10),
        calls = 1, errors = 0, overruns = 0, seconds = 1, slowest = 1 } },
        id = ("ab"):rep(6) }), columns)
      for line in text:gmatch("[^\n]+") do
        assert.is_true(core.text_width(line) <= columns, line)
      end
    end
  end)

  it("is short for a node that is new", function()
    local text = screen.text(status({ rates = {}, hooks = {}, network_size = 0,
      policies = { files = {} }, state = "isolated",
      reason = "no name server answers for a.example" }))
    text = text:gsub("\nReload[^\n]*", "")
    assert.matches("^State +isolated: no contact answers, 132 contacts; no "
      .. "name server answers for a.example\n", text)
    assert.matches("Consoles     2 open, 1 request\n$", text)
    assert.is_nil(text:find("Policies", 1, true))
  end)

  it("says why a reload was refused", function()
    local text = screen.text(status({ reload = { ago = 5, succeeded = false,
      changed = {}, needs_restart = {}, problems = { "x.lua:1: a\27[2J" } } }))
    assert.is_truthy(text:find("Reload       5 s ago, refused: x.lua:1: "
      .. "a\\x1b[2J\n", 1, true), text)
  end)

  it("has a bounded number of hooks", function()
    local hooks = {}
    for i = 1, 500 do
      hooks[i] = { name = ("h%03d"):format(i), calls = 0, errors = 0,
        overruns = 0, seconds = 0, slowest = 0, breaker_open = i == 2 }
    end
    local text = screen.text(status({ hooks = hooks }))
    assert.is_truthy(text:find("h002 (breaker open)", 1, true))
    assert.is_nil(text:find("h021", 1, true))
    assert.is_truthy(text:find("  and 480 hooks (--json shows all)\n", 1, true))
  end)
end)

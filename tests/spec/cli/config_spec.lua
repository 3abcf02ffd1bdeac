local process = require("support.process")
local schema = require("kadenza.cli.schema")
local literal = require("kadenza.literal")
local support = require("support")

describe("the configuration of kadenza run", function()
  local folder, remove

  before_each(function()
    folder, remove = support.temporary_folder()
  end)

  after_each(function()
    process.end_all()
    remove()
  end)

  local function write(text)
    local path = folder .. "/node.lua"
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
    return path
  end

  -- Returns the effective configuration.
  local function dump(args, env)
    local done = process.run({ "run", "--dump-config", table.unpack(args) },
      { env = env })
    assert.equal("", done.stderr)
    assert.equal(0, done.status)
    for line in done.stdout:gmatch("[^\n]+") do
      assert.is_true(#line < 80 or not line:find("^ *%-%- "), line)
    end
    return (assert(literal.parse(done.stdout, "dump")))
  end

  local function assert_rejected(text, message)
    local path = write(text)
    local done = process.run({ "run", path, "--state", folder .. "/state" })
    assert.equal(("kadenza: %s:%s\n"):format(path, message), done.stderr)
    assert.equal("", done.stdout)
    assert.equal(2, done.status)
    assert.is_nil(io.open(folder .. "/state"))
  end

  it("is read from a file", function()
    local config = dump({ write([[
      -- a node of the test
      return { k = 20, listen = { "127.0.0.1:0", "[::1]:0" },
        bootstrap = "192.0.2.1:6881", allow_local = true,
        limits = { queries_per_s = 7 } }
    ]]) })
    assert.equal(20, config.k)
    assert.same({ "127.0.0.1:0", "[::1]:0" }, config.listen)
    assert.same({ "192.0.2.1:6881" }, config.bootstrap)
    assert.is_true(config.allow_local)
    assert.equal(7, config.limits.queries_per_s)
    assert.equal(3, config.alpha)
  end)

  it("is overridden by the environment, and that by flags", function()
    local path = write("{ k = 16, alpha = 4, listen = '192.0.2.1:1' }")
    local env = {
      KADENZA_K = "17", KADENZA_LISTEN = "192.0.2.1:2, [::]:3",
      KADENZA_READ_ONLY = "yes", KADENZA_LIMITS = "off", KADENZA_PING_S = "",
    }
    local config = dump({ path, "--k", "18" }, env)
    assert.equal(18, config.k)
    assert.equal(4, config.alpha)
    assert.same({ "192.0.2.1:2", "[::]:3" }, config.listen)
    assert.equal("on", config.read_only)
    assert.is_false(config.limits)
    assert.equal(600, config.ping_s)
    assert.equal("off", dump({ "--read-only", "off" }, env).read_only)
    assert.equal("auto", dump({ "--read-only", "auto" }, env).read_only)
    assert.equal("auto", dump({}, {}).read_only)
    assert.same({ "192.0.2.1:4" },
      dump({ path, "--listen", "192.0.2.1:4" }, env).listen)
  end)

  it("has a flag, a variable and a field for every option", function()
    for _, option in ipairs(schema.OPTIONS) do
      if option.kind == "number" then
        local text = tostring(option.max)
        local fields = "{ " .. option.name .. " = " .. text .. " }"
        local file = option.limit and "{ limits = " .. fields .. " }" or fields
        for _, config in ipairs({
          dump({ option.flag, text }),
          dump({}, { [schema.variable(option)] = text }),
          dump({ write(file) }),
        }) do
          local found = option.limit and config.limits or config
          assert.equal(option.max, found[option.name])
        end
      end
    end
  end)

  it("is printed as a file that gives the same configuration", function()
    local path = write([[{ k = 20, id = "00112233445566778899aabbccddeeff00112233",
      state = "a \"b\"", version = "\0\255ab", json = true, log = "off",
      limits = { bytes_per_s = 5 }, policies = {} }]])
    local first = process.run({ "run", "--dump-config", path }).stdout
    local second = process.run({ "run", "--dump-config", write(first) }).stdout
    assert.equal(first, second)
    assert.equal("\0\255ab", assert(literal.parse(first, "x")).version)
    assert.is_truthy(load("return " .. first))
  end)

  it("accepts trust beside a policy's file, or on its own", function()
    local a, b, c = "scripts/policies/chat.lua", "scripts/policies/counter.lua",
      "scripts/policies/registry.lua"
    local path = write(([[{ policies = { "%s", { file = "%s", trusted = true },
      { file = "%s" } }, trust = { "%s" } }]]):format(a, b, c, a))

    local config = dump({ path })
    assert.same({ a, b, c }, config.policies)
    assert.same({ b, a }, config.trust)

    -- An override of the policies also overrides their trust.
    path = write("{ policies = { { file = '" .. b .. "', trusted = true } } }")
    config = dump({ path, "--policy", c })
    assert.same({ c }, config.policies)
    assert.same({}, config.trust)

    config = dump({ "--policy", c }, { KADENZA_TRUST = c })
    assert.same({ c }, config.trust)
  end)

  it("has the width of its id", function()
    assert.equal(256, dump({ "--id", ("ab"):rep(32) }).id_bits)
    assert.equal(160, dump({ "--id", ("ab"):rep(20) }).id_bits)
  end)

  it("is rejected with the file and line of a mistake", function()
    assert_rejected("{\n  k = 20,\n  listn = 5,\n}",
      "3: unknown option 'listn'; did you mean 'listen'?")
    assert_rejected("{ something_else = 5 }",
      "1: unknown option 'something_else'")
    assert_rejected("{ 'k' }", "1: unknown option 1")
    assert_rejected("{\n\n k = 'eight' }",
      "3: k must be an integer from 1 to 20, not 'eight'")
    assert_rejected("{ k = 8.0 }",
      "1: k must be an integer from 1 to 20, not 8.0")
    assert_rejected("{ allow_local = 'yes' }",
      "1: allow_local must be on or off, not 'yes'")
    assert_rejected("{ listen = {} }", "1: listen must hold 1 to 8 addresses")
    assert_rejected("{ bootstrap = { '192.0.2.1:1', 5 } }",
      "1: bootstrap must be a string, not 5")
    assert_rejected("{ policies = { a = 'b' } }",
      "1: policies must be a string or a list of strings, not a table")
    assert_rejected("{ policies = { { file = 'a', trust = true } } }",
      "1: policies has an unknown key 'trust' beside 'file'")
    assert_rejected("{ policies = { { file = 5 } } }",
      "1: policies has a file that must be a string, not 5")
    assert_rejected("{ policies = { { file = 'a', trusted = 'yes' } } }",
      "1: policies has a trusted that must be true or false, not 'yes'")
    assert_rejected("{ limits = {\n queries_per_sec = 5 } }",
      "2: unknown option 'queries_per_sec'; did you mean 'queries_per_s'?")
    assert_rejected("{ queries_per_s = 5 }",
      "1: 'queries_per_s' must be in the table 'limits'")
    assert_rejected("{ limits = { k = 5 } }",
      "1: 'k' must be outside of the table 'limits'")
    assert_rejected("{ version = 'KADENZA' }",
      "1: version must be 4 bytes, not 'KADENZA'")
    assert_rejected("{ k = 5\n alpha = 3 }",
      "2: ',' or '}' is expected, not 'alpha'")
    assert_rejected("{ k = math.huge }",
      "1: a value is expected, not 'math'")
  end)

  it("is rejected if the file cannot be read", function()
    local done = process.run({ "run", folder .. "/none.lua" })
    assert.equal("kadenza: " .. folder .. "/none.lua: open: No such file or "
      .. "directory\n", done.stderr)
    assert.equal(2, done.status)
  end)

  it("is rejected with the name of a wrong variable", function()
    for text, message in pairs({
      ["0"] = "KADENZA_ALPHA must be an integer from 1 to 32, not 0",
      x = "KADENZA_ALPHA must be an integer from 1 to 32, not 'x'",
    }) do
      local done = process.run({ "run" }, { env = { KADENZA_ALPHA = text } })
      assert.equal("kadenza: " .. message .. "\n", done.stderr)
      assert.equal(2, done.status)
    end
    local done = process.run({ "run" }, { env = { KADENZA_JSON = "maybe" } })
    assert.equal("kadenza: KADENZA_JSON must be on or off, not 'maybe'\n",
      done.stderr)
  end)

  it("is passed to the node", function()
    local node = process.start_node({ write("{ read_only = true }") })
    local ping = process.run({ "ping", node.address, "--allow-local",
      "--query-ms", "300" })
    assert.equal("kadenza: no answer in time\n", ping.stderr)
    assert.equal(1, ping.status)
  end)
end)

describe("the table of options", function()
  it("has every option of the core, with its default and range", function()
    local rows = require("kadenza.core").config_options()
    assert.is_true(#rows > 20)
    for _, row in ipairs(rows) do
      local option = schema.BY_NAME[row.name]
      assert.is_truthy(option, row.name)
      assert.equal(row.default, option.default, row.name)
      assert.equal(row.min, option.min, row.name)
      assert.equal(row.max, option.max, row.name)
    end
  end)

  it("has the options that are no rows of the core's list", function()
    for _, name in ipairs({ "id", "id_bits", "version" }) do
      assert.is_truthy(schema.BY_NAME[name], name)
    end
  end)

  -- The limits of the HTTP server, by option.
  local HTTP_LIMITS <const> = { http_connections = "connections",
    http_address_connections = "address_connections",
    http_body = "body_bytes" }

  local function is_http_limit(name, value)
    local opened, server = pcall(require("kadenza.web").open, {
      listen = { "127.0.0.1:0" }, limits = { [HTTP_LIMITS[name]] = value } })
    if opened then
      server:close()
    end
    return opened
  end

  it("has the ranges of the core, of the library and of HTTP", function()
    local network = assert(require("kadenza.core").udp())
    local function is_taken(name, value)
      if HTTP_LIMITS[name] then
        return is_http_limit(name, value)
      end
      local config, opened, node = { [name] = value }, nil, nil
      if name:find("^policy_") or name == "store_bytes" then
        opened, config = pcall(require("kadenza.node_options").read, config, 1)
      end
      if opened ~= false then
        opened, node = pcall(network.open_node, network, config,
          { "127.0.0.1:0" })
      end
      if opened and node then
        node:close()
      end
      return opened and node ~= nil
    end
    for _, option in ipairs(schema.OPTIONS) do
      if option.kind == "number" then
        assert.is_true(is_taken(option.name, option.min), option.name)
        assert.is_true(is_taken(option.name, option.max), option.name)
        assert.is_false(is_taken(option.name, option.min - 1), option.name)
        if option.max < math.maxinteger then
          assert.is_false(is_taken(option.name, option.max + 1), option.name)
        end
      end
    end
    network:close()
  end)

  it("has no option that kad.node does not know", function()
    local node_options = require("kadenza.node_options")
    local config = require("kadenza.cli.config")
    local effective = config.read({ flags = {}, variables = {} }, {})
    assert.has_no.errors(function()
      node_options.read(config.node_options(effective), 1)
    end)
  end)
end)

local kad = require("kadenza")
local support = require("tests.spec.support")

local spec, local_node = support.spec, support.local_node
local with_pair = support.with_pair
local assert_blames_caller = support.assert_blames_caller
local LIMITS <const> = require("kadenza.node_options").LIMITS

describe("node:configure", function()
  it("changes live options, and keeps the others", support.spec(function()
    local net <close> = kad.sim({ nodes = 3, seed = 1 })
    net:perform(function()
      local node, other = net.nodes[1], net.nodes[2]
      local key = kad.key("k")
      assert.is_true(node:configure({ max_records = 0, lookup_ms = 5000,
        limits = { queries_per_s = 100 } }))
      other:put(key, "v")
      assert.same({}, node:held(key))

      assert.is_true(node:configure({ max_records = 100 }))
      other:put(key, "v")
      assert.equal(1, #node:held(key))
    end)
  end))

  it("raises for an option that cannot change, or is none, or is wrong",
    support.spec(function()
      local net <close> = kad.sim({ nodes = 1, seed = 1 })
      for text, options in pairs({
        ["option 'k' cannot change while the node runs"] = { k = 20 },
        ["option 'listen' cannot change"] = { listen = "127.0.0.1:1" },
        ["unknown option 'max_record'"] = { max_record = 1 },
        ["lookup_ms"] = { lookup_ms = 0 },
        ["unknown option 'queries'"] = { limits = { queries = 1 } },
      }) do
        assert.error_matches(function()
          net.nodes[1]:configure(options)
        end, text)
      end
    end))
end)

describe("kadenza.node", function()
  describe("opening", function()
    it("binds a free port and returns its address", spec(function()
      kad.run(function()
        local node = assert(kad.node(local_node()))

        assert.matches("^127%.0%.0%.1:%d+$", node:addresses()[1])
        assert.not_matches(":0$", node:addresses()[1])
      end)
    end))

    it("listens on several addresses", spec(function()
      kad.run(function()
        local node = assert(kad.node(local_node({
          listen = { "127.0.0.1:0", "127.0.0.3:0" },
        })))

        assert.equal(2, #node:addresses())
      end)
    end))

    it("names an address that is in use", spec(function()
      kad.run(function()
        local taken = assert(kad.node(local_node())):addresses()[1]

        local node, message, code = kad.node(local_node({ listen = taken }))

        assert.is_nil(node)
        assert.equal(taken .. ": bind: address already in use", message)
        assert.equal("KAD_EADDRINUSE", code)
      end)
    end))

    it("names an address that this machine does not have", spec(function()
      kad.run(function()
        local node, message, code =
          kad.node(local_node({ listen = "192.0.2.1:0" }))

        assert.is_nil(node)
        assert.matches("^192%.0%.2%.1:0: ", message)
        assert.equal("KAD_EADDRNOTAVAIL", code)
      end)
    end))

    it("has the id of its options, binary or hexadecimal", spec(function()
      kad.run(function()
        local id = kad.key("me")
        for _, given in ipairs({ id, kad.hex(id) }) do
          local node = assert(kad.node(local_node({ id = given })))
          assert.equal(id, node:id())
          node:close()
        end
        local wide = assert(kad.node(local_node({ id_bits = 256 })))
        assert.equal(32, #wide:id())
      end)
    end))

    it("accepts limits as a table", spec(function()
      kad.run(function()
        assert(kad.node(local_node({ limits = false }))):close()
        assert(kad.node(local_node({
          limits = { queries_per_s = 10 },
        }))):close()
      end)
    end))

    local mistakes = {
      { { colour = 1 }, "unknown option 'colour'" },
      { { limits = { colour = 1 } }, "unknown option 'colour'" },
      { { k = "8" }, "option 'k' must be an integer, not string" },
      { { k = -1 }, "option 'k' must be in 1 to 20" },
      { { alpha = 33 }, "option 'alpha' must be in 1 to 32" },
      { { paths = 17 }, "option 'paths' must be in 1 to 16" },
      { { max_reply = 1 }, "field 'max_reply' must be in 512 to 8972" },
      { { listen = {} }, "option 'listen' needs 1 to 8 addresses" },
      { { state = "" }, "option 'state' must name a folder" },
      { { allow_local = 1 }, "option 'allow_local' must be a boolean" },
      { { listen = "localhost" }, "option 'listen': 'localhost' is no" },
      { { listen = 6881 }, "option 'listen' must be a string or a list" },
      { { id = "short" }, "option 'id' must have 20 bytes or 40 digits" },
      { { id = ("x"):rep(40) }, "option 'id' is not hexadecimal" },
      { { id_bits = 128 }, "field 'id_bits' must be in" },
      { { version = "too long" }, "field 'version' must have 4 bytes" },
      { { bootstrap = { 1 } }, "option 'bootstrap' must be" },
    }
    for _, case in ipairs(mistakes) do
      it("raises: " .. case[2], spec(function()
        local options = { listen = "127.0.0.1:0" }
        for name, value in pairs(case[1]) do
          options[name] = value
        end
        kad.run(function()
          local passed, err = pcall(kad.node, options)
          assert.is_false(passed)
          assert.is_truthy(err:find(case[2], 1, true), err)
        end)
      end))
    end

    it("has each option of the core in the reference", function()
      local file <close> = assert(io.open("docs/reference/lua.md"))
      local class = file:read("a"):match("## kadenza.NodeOptions\n(.-)\n#")
      for _, row in ipairs(require("kadenza.core").config_options()) do
        assert.is_truthy(class:find("- `" .. row.name .. "`?: ", 1, true)
          or LIMITS[row.name], row.name)
      end
    end)

    it("has each of its methods in the reference", spec(function()
      local file <close> = assert(io.open("docs/reference/lua.md"))
      local text = file:read("a")
      kad.run(function()
        local node = assert(kad.node(local_node()))
        for name, value in pairs(getmetatable(node)) do
          if type(value) == "function" and not name:find("^__") then
            assert.is_truthy(text:find("\n### node:" .. name .. "(", 1, true),
              name)
          end
        end
      end)
    end))

    it("raises at the line of the caller", spec(function()
      kad.run(function()
        assert_blames_caller("unknown option 'colour'", function()
          kad.node({ colour = 1 })
        end)
        assert_blames_caller("option 'k' must be in 1 to 20", function()
          kad.node({ k = 0 })
        end)
      end)
    end))
  end)

  describe("held", function()
    it("returns the records that the node holds", with_pair(function(a, b)
      local key = kad.key("held")
      assert.same({}, a:held(key))
      assert(a:put(key, "x"))
      for _, node in ipairs({ a, b }) do
        local records = node:held(key)
        assert.equal(1, #records)
        assert.equal("x", records[1].value)
        assert.equal(key, records[1].key)
      end
      assert.same({}, a:held(key, "peers"))
      assert_blames_caller("key must have 20 bytes", function()
        a:held("short")
      end)
    end))
  end)

  it("counts queries and datagrams", with_pair(function(a, b)
    local before = a:stats().served_ping
    assert(b:ping(a:addresses()[1]))

    assert.equal(before + 1, a:stats().served_ping)
    assert.is_true(a:stats().datagrams_in > 0)
  end))
end)

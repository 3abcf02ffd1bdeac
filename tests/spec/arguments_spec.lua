local arguments = require("kadenza.arguments")
local support = require("tests.spec.support")

local RULES <const> = {
  count = { default = 8, kind = "integer", from = 1, to = 64 },
  seconds = { default = 0.5, kind = "number", from = 0, to = 10 },
  cache = { kind = "table" },
}
local MORE <const> = { name = { kind = "string" } }

local function options(given)
  local checked = arguments.options(given, 2, RULES, MORE)
  return checked -- not a tail call: levels count this function
end

local function node_of(bits)
  return {
    id_bits = function()
      return bits
    end,
  }
end

describe("kadenza.arguments", function()
  it("gives defaults for what is not given", function()
    assert.same({ count = 8, seconds = 0.5 }, options(nil))
    assert.same({ count = 8, seconds = 0.5 }, options({}))
  end)

  it("takes what fits, of every table of rules", function()
    local given =
      { count = 64, seconds = 10, cache = { 1 }, name = "x" }

    assert.same(given, options(given))
    assert.equal(given.cache, options(given).cache)
  end)

  it("leaves the table it is given alone", function()
    local given = { count = 2 }

    options(given).count = 3

    assert.same({ count = 2 }, given)
  end)

  it("raises what does not fit in the caller's name", function()
    for text, given in pairs({
      ["options must be a table, not string"] = "x",
      ["options must be a table, not boolean"] = false,
      ["unknown option 'conut'"] = { conut = 1 },
      ["unknown option '1'"] = { "x" },
      ["option 'count' must be an integer, not string"] = { count = "1" },
      ["option 'count' must be an integer, not number"] = { count = 1.0 },
      ["option 'count' must be in 1 to 64"] = { count = 65 },
      ["option 'seconds' must be in 0 to 10"] = { seconds = 0 / 0 },
      ["option 'cache' must be a table, not boolean"] = { cache = true },
      ["option 'name' must be a string, not number"] = { name = 1 },
    }) do
      support.assert_blames_caller(text, function()
        options(given)
      end)
    end
  end)

  it("knows nodes, keys and kinds", function()
    local function check(name, ...)
      arguments[name](...)
      return true
    end

    assert.is_true(check("check_node", node_of(160), 1))
    assert.is_true(check("check_key", node_of(256), ("k"):rep(32), "it", 1))
    assert.is_true(check("check_kind", print, "function", "fn", 1))
    assert.has_error(function()
      arguments.check_node({}, 0)
    end, "a node is needed, not a table")
    assert.has_error(function()
      arguments.check_key(node_of(160), ("k"):rep(32), "it", 0)
    end, "it must be a key of 20 bytes")
    assert.has_error(function()
      arguments.check_kind(1, "function", "fn", 0)
    end, "fn must be a function, not a number")
  end)
end)

local check = require("kadenza.check")
local support = require("tests.spec.support")

local RULES <const> = {
  count = { default = 8, kind = "integer", from = 1, to = 64 },
  seconds = { default = 0.5, kind = "number", from = 0, to = 10 },
  cache = { kind = "table" },
}
local MORE <const> = { name = { kind = "string" } }

local function options(given)
  local checked = check.with_defaults(given, 2, RULES, MORE)
  return checked -- not a tail call: levels count this function
end

local function node_of(bits)
  return {
    id_bits = function()
      return bits
    end,
  }
end

describe("kadenza.check", function()
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

  it("checks lengths, own predicates and what is required", function()
    local rules = {
      secret = { kind = "string", bytes = { 2, 4 } },
      salt = { kind = "string", bytes = { 3, 3 } },
      who = { is = function(value)
        return value == "me"
      end, name = "'me'", required = "the one who does it" },
    }
    local function read(given)
      local checked = check.with_defaults(given, 2, rules)
      return checked
    end
    local given = { secret = "abcd", salt = "abc", who = "me" }

    assert.same(given, read(given))
    for text, wrong in pairs({
      ["option 'secret' must have 2 to 4 bytes, not 1"] = { secret = "a" },
      ["option 'salt' must have 3 bytes, not 4"] = { salt = "abcd" },
      ["option 'who' must be 'me', not string"] = { who = "you" },
      ["option 'who' is missing: the one who does it"] = {},
    }) do
      support.assert_blames_caller(text, function()
        read(wrong)
      end)
    end
  end)

  it("reads the options themselves, not those of a metatable", function()
    assert.same({ count = 8, seconds = 0.5 },
      options(setmetatable({}, { __index = { count = "x" } })))
  end)

  it("checks nodes, ids, kinds, numbers and callbacks", function()
    check.node(node_of(160), 1)
    check.id(node_of(256), ("k"):rep(32), "it", 1)
    check.kind(print, "function", "fn", 1)
    check.number(1.5, "it", 1)
    check.callback(nil, 1)
    check.callback(print, 1)
    for text, call in pairs({
      ["a node is needed, not a table"] = { check.node, {}, 0 },
      ["key must have 20 bytes, not 32: kad.key(name) makes one"] =
        { check.id, node_of(160), ("k"):rep(32), "key", 0 },
      ["id must be a string, not nil"] =
        { check.id, node_of(160), nil, "id", 0 },
      ["fn must be a function, not number"] =
        { check.kind, 1, "function", "fn", 0 },
      ["it must be finite"] = { check.number, 1 / 0, "it", 0 },
      ["the callback must be a function, not number"] =
        { check.callback, 1, 0 },
    }) do
      assert.has_error(function()
        call[1](table.unpack(call, 2, 5))
      end, text)
    end
  end)
end)

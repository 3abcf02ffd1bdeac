local shape = require("kadenza.policy.shape")

local function nothing() end

-- Returns a table that lists its fields as `shown` has them.
local function listed_as(fields, shown)
  return setmetatable(fields, { __pairs = function()
    return next, shown
  end })
end

describe("kadenza.policy.shape", function()
  it("accepts every field of a policy", function()
    assert.is_true(shape.check({
      name = "all", version = 1.5, deadline = 0.5,
      types = { ["a-z_0.9"] = {
        max_size = 1000, max_values = 1024, ttl = 2592000, signed_only = true,
        validate = nothing, merge = nothing, select = nothing,
        expire = nothing, republish = nothing,
      }, b = { republish = false }, c = { republish = 1 } },
      rpc = { hello = nothing },
      every = { { seconds = 0.001, run = nothing } },
      on_start = nothing, on_stop = nothing, on_request = nothing,
      on_contact = nothing, on_store = nothing, on_expire = nothing,
      save = nothing, restore = nothing, requires = { "a", "b", c = 2 },
      samples = {
        types = { b = { "x", { value = "y", key = "k", salt = "s", seq = 1,
          ttl = 2, signed = true } } },
        rpc = { hello = { {}, { name = "Ann", list = { 1, "a" } } } },
      },
    }))
    assert.is_true(shape.check({}))
  end)

  local cases = {
    { 7, "a policy must be a table, not a number" },
    { { tpyes = {} }, "unknown key 'tpyes' (did you mean 'types'?)" },
    { { qqqqqq = 1 }, "unknown key 'qqqqqq'" },
    { { [1] = 1 }, "unknown key '1'" },
    { { [("x"):rep(1e6)] = 1 }, "unknown key 'x" },
    { { on_start = 1 }, "on_start must be a function, not a number" },
    { { name = "" }, "name must have at least one byte" },
    { { name = ("n"):rep(65) }, "name must have 1 to 64 bytes" },
    { { name = "a\0b" }, "name must have 1 to 64 bytes and no control" },
    { { rpc = { ["\0"] = nothing } },
      "'\\x00' is not a name of a query: it must have no control characters" },
    { { rpc = { ["a\0b"] = nothing } }, "'a\\x00b' is not a name of a query" },
    { { rpc = { ["a\27[31m"] = nothing } }, "'a\\x1b[31m' is not a name" },
    { { rpc = { [""] = nothing } }, "it must have 1 to 32 bytes, not 0" },
    { { rpc = { [{}] = nothing } }, "it must be a string, not a table" },
    { { types = { ["a\0"] = {} } }, "'a\\x00' is not a name of a type" },
    { { types = { [{}] = {} } }, "is not a name of a type" },
    { { ["name\0"] = "x" }, "unknown key 'name\\x00'" },
    { { requires = "a" }, "requires must be a table, not a string" },
    { { requires = { 1 } }, "requires[1] must be a string, not a number" },
    { { requires = { a = "1" } }, "requires.a must be a number, not a string" },
    { { requires = { [true] = 1 } },
      "requires has a key that is not the name" },
    { { deadline = 0 }, "deadline must be more than 0" },
    { { deadline = 0 / 0 }, "deadline must be more than 0" },
    { { deadline = 3601 }, "deadline must be more than 0" },
    { { types = { A = {} } }, "'A' is not a name of a type" },
    { { types = { [1] = {} } }, "'1' is not a name of a type" },
    { { types = { [("a"):rep(33)] = {} } }, "is not a name of a type" },
    { { types = { a = 1 } }, "types.a must be a table, not a number" },
    { { types = { a = { max_size = 0 } } },
      "types.a.max_size must be an integer from 1 to 8192" },
    { { types = { a = { max_size = 1.5 } } }, "types.a.max_size must be" },
    { { types = { a = { max_values = 1025 } } }, "types.a.max_values must be" },
    { { types = { a = { ttl = "60" } } }, "types.a.ttl must be an integer" },
    { { types = { a = { signed_only = 1 } } },
      "types.a.signed_only must be a boolean, not a number" },
    { { types = { peers = { signed_only = true } } },
      "types.peers.signed_only: peers have no publisher" },
    { { types = { a = { republish = true } } },
      "types.a.republish must be an integer" },
    { { types = { a = { republish = 0 } } },
      "types.a.republish must be an integer" },
    { { types = { a = { on_stor = nothing } } },
      "unknown key 'on_stor' in types.a" },
    { { rpc = { hello = 1 } }, "rpc.hello must be a function" },
    { { rpc = { store = nothing } },
      "rpc.store: the node itself answers 'store'" },
    { { rpc = { get = nothing } },
      "rpc.get: 'get' has a meaning in BitTorrent's DHT (BEP 44)" },
    { { rpc = { sample_infohashes = nothing } }, "(BEP 51)" },
    { { rpc = { vote = nothing } }, "'vote' has a meaning" },
    { { rpc = { [""] = nothing } }, "'' is not a name of a query" },
    { { rpc = { [("x"):rep(33)] = nothing } }, "is not a name of a query" },
    { { samples = { type = {} } },
      "unknown key 'type' in samples (did you mean 'types'?)" },
    { { types = { line = {} }, samples = { types = { lime = {} } } },
      "unknown key 'lime' in samples.types (did you mean 'line'?)" },
    { { types = { a = {} }, samples = { types = { a = "x" } } },
      "samples.types.a must be a table, not a string" },
    { { types = { a = {} }, samples = { types = { a = { 1 } } } },
      "samples.types.a[1] must be a table, not a number" },
    { { types = { a = {} }, samples = { types = { a = { { seq = 1 } } } } },
      "samples.types.a[1].value must be a string, not a nil" },
    { { types = { a = {} },
      samples = { types = { a = { { value = "x", seq = 1.5 } } } } },
      "samples.types.a[1].seq must be an integer" },
    { { types = { a = {} },
      samples = { types = { a = { { value = "x", sine = true } } } } },
      "unknown key 'sine' in samples.types.a[1]" },
    { { rpc = { hi = nothing }, samples = { rpc = { hi = { "x" } } } },
      "samples.rpc.hi[1] must be a table, not a string" },
    { { rpc = { hi = nothing }, samples = { rpc = { hi = { { a = 1.5 } } } } },
      "samples.rpc.hi[1].a" },
    { { types = listed_as({ ["a\0"] = {} }, {}) },
      "'a\\x00' is not a name of a type" },
    { { rpc = listed_as({ store = nothing }, {}) }, "rpc.store: the node" },
    { { requires = listed_as({ 1 }, {}) }, "requires[1] must be a string" },
    { listed_as({ on_start = 1 }, {}), "on_start must be a function" },
    { { types = { a = listed_as({ ttl = 0 }, {}) } }, "types.a.ttl must be" },
    { { every = table.move({ {} }, 1, 1, 1001, {}) }, "every" },
    { { every = (function()
      local every = {}
      for i = 1, 1001 do
        every[i] = { run = nothing, seconds = 1 }
      end
      return every
    end)() }, "every has more than 1000 timers" },
    { { every = { 1 } }, "every[1] must be a table, not a number" },
    { { every = { { seconds = 1 } } }, "every[1].run must be a function" },
    { { every = { { run = nothing } } }, "every[1].seconds must be a number" },
    { { every = { { run = nothing, seconds = 0 } } },
      "every[1].seconds must be a number from 0.001" },
    { { every = { { run = nothing, seconds = 1, sec = 2 } } },
      "unknown key 'sec' in every[1]" },
  }

  for i, case in ipairs(cases) do
    it(("rejects case %d: %s"):format(i, case[2]), function()
      local fine, message = shape.check(case[1])

      assert.is_nil(fine)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end)
  end
end)

local compose = require("kadenza.policy.compose")

local function load(...)
  local list = {}
  for i, policy in ipairs({ ... }) do
    list[i] = { label = "p" .. i .. ".lua", name = "p" .. i, policy = policy }
  end
  return list
end

local function composed(...)
  return compose.compose(load(...))
end

local function problem(...)
  local fine, err = pcall(compose.compose, load(...))
  assert.is_false(fine)
  return err.problem
end

local function yes()
  return true
end

describe("kadenza.policy.compose", function()
  it("numbers hooks and names them after policy, type and hook", function()
    local setup = composed({
      types = { note = { validate = yes, merge = yes } },
      rpc = { hello = yes },
    })

    assert.same({ "p1: note.merge", "p1: rpc.hello", "p1: note.validate" },
      setup.names)
    assert.equal(#setup.names, #setup.hooks)
    assert.equal(3, setup.types[1].validate)
    assert.equal(1, setup.types[1].merge)
    assert.same({ { name = "hello", call = 2 } }, setup.methods)
  end)

  it("accepts a number, false or a function for republish", function()
    local setup = composed({ types = {
      a = { republish = 20 }, b = { republish = false },
      c = { republish = yes },
    } })

    assert.equal(20, setup.types[1].republish_s)
    assert.equal(0xFFFFFFFF, setup.types[2].republish_s)
    assert.equal("p1: c.republish", setup.names[setup.types[3].republish])
  end)

  it("lets many policies filter a built-in type, and one define it", function()
    local setup = composed({ types = { value = { validate = yes } } },
      { types = { value = { validate = yes } } },
      { types = { value = { ttl = 60 } } })

    assert.equal(1, #setup.types)
    assert.equal("p1+p2: value.validate", setup.names[1])
    assert.equal(60, setup.types[1].ttl)
    assert.equal("p2.lua: type 'value' is claimed by p1.lua already",
      problem({ types = { value = { ttl = 1 } } },
        { types = { value = { ttl = 2 } } }))
  end)

  it("calls filters in order until one does not return true", function()
    local asked = {}
    local function filter(name, ...)
      local verdict = table.pack(...)
      return { on_request = function(subject, context)
        asked[#asked + 1] = name .. subject .. context
        return table.unpack(verdict, 1, verdict.n)
      end }
    end
    local setup = composed(filter("a", true), filter("b", nil, "no", 250),
      filter("c", true))

    assert.same({ nil, "no", 250 },
      { setup.hooks[setup.on_request]("s", "c") })
    assert.same({ "asc", "bsc" }, asked)
    assert.equal("p1+p2+p3: on_request", setup.names[setup.on_request])
  end)

  it("calls all listeners, then raises the first error", function()
    local heard = {}
    local function listener(name, fails)
      return { on_store = function()
        heard[#heard + 1] = name
        if fails then
          error(name, 0)
        end
      end }
    end
    local setup = composed(listener("a"), listener("b", true),
      listener("c", true), { types = { note = {} } })

    for _, entry in ipairs(setup.types) do
      assert.is_number(entry.on_store)
    end
    assert.has_error(setup.hooks[setup.types[1].on_store], "b")
    assert.same({ "a", "b", "c" }, heard)
  end)

  it("gives each hook the deadline of its policy", function()
    local setup = composed({ deadline = 0.5, rpc = { a = yes } },
      { deadline = 7, rpc = { b = yes } }, { rpc = { c = yes } })

    assert.same({ 500, 7000, 2000 }, setup.deadlines)
    assert.equal(7000, setup.deadline_ms)
  end)

  it("gives a joined filter the longest deadline of its policies", function()
    local setup = composed({ deadline = 1, on_request = yes },
      { deadline = 2.5, on_request = yes })

    assert.same({ 2500 }, setup.deadlines)
  end)

  it("names the file that exceeds the number of types or queries",
    function()
      local function many(part, count, value, prefix)
        local policy = { [part] = {} }
        for i = 1, count do
          policy[part][prefix .. i] = value
        end
        return policy
      end

      composed(many("types", 62, {}, "a"), { types = { value = {} } },
        { types = { peers = { validate = yes } }, on_store = yes })
      assert.equal("p2.lua: there are more than 62 types",
        problem(many("types", 60, {}, "a"), many("types", 3, {}, "b")))
      composed(many("rpc", 256, yes, "a"))
      assert.equal("p2.lua: there are more than 256 queries",
        problem(many("rpc", 256, yes, "a"), many("rpc", 1, yes, "b")))
    end)

  it("rejects two policies of one name, and names both files", function()
    local list = load({}, {})
    list[2].name = "p1"

    local fine, err = pcall(compose.compose, list)

    assert.is_false(fine)
    assert.equal("p2.lua: the name 'p1' is claimed by p1.lua already: each "
      .. "policy needs a `name` of its own", err.problem)
  end)

  describe("a required policy", function()
    it("may be loaded before or after", function()
      composed({ requires = { "p2" } }, { requires = { "p1" } })
      composed({ requires = { "p2", p3 = 2 } }, {}, { version = 2.1 })
      composed({ requires = { "p1" } })
    end)

    local refused = {
      { { requires = { "p3" } }, {},
        "p1.lua: it requires the policy 'p3', which is not loaded "
          .. "(did you mean 'p1'?)" },
      { { requires = { "something" } }, {},
        "p1.lua: it requires the policy 'something', which is not loaded" },
      { { requires = { somewhere = 2, something = 1 } }, {},
        "p1.lua: it requires the policy 'something', which is not loaded" },
      { {}, { requires = { p1 = 2 } },
        "p2.lua: it requires version 2 of the policy 'p1', but p1.lua is "
          .. "without a version" },
      { { version = 1.5 }, { requires = { p1 = 2 } },
        "p2.lua: it requires version 2 of the policy 'p1', but p1.lua is "
          .. "version 1.5" },
    }
    for _, case in ipairs(refused) do
      it("is reported: " .. case[3], function()
        assert.equal(case[3], problem(case[1], case[2]))
      end)
    end
  end)
end)

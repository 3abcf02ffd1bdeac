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

  it("takes what may be a number, false or a function", function()
    local setup = composed({ types = {
      a = { republish = 20 }, b = { republish = false },
      c = { republish = yes },
    } })

    assert.equal(20, setup.types[1].republish_s)
    assert.equal(0xFFFFFFFF, setup.types[2].republish_s)
    assert.equal("p1: c.republish", setup.names[setup.types[3].republish])
  end)

  it("lets several filter a built-in type, and one decide it", function()
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

  it("asks filters in order until one does not say true", function()
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

  it("lets all hear, and raises the first error afterwards", function()
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

  it("waits as long as the most patient", function()
    assert.equal(2500, composed({ deadline = 1 }, { deadline = 2.5 })
      .deadline_ms)
    assert.is_nil(composed({}).deadline_ms)
  end)
end)

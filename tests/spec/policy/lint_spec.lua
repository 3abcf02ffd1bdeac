local lint = require("kadenza.policy.lint")
local policies = require("tests.spec.support.policy")
local support = require("tests.spec.support")
local testing = require("kadenza.testing")

-- Loads the text and returns its problems, "LINE: MESSAGE" each.
local function problems_of(text)
  local files <close> = policies.files()
  local path = files:write(text)
  local loaded <close> = assert(testing.load(path))
  local lines = {}
  for i, problem in
    ipairs(lint.check(path, text, loaded:describe().places))
  do
    assert.equal(path, problem.file)
    lines[i] = problem.line .. ": " .. problem.message
  end
  return lines
end

-- Returns a policy whose validate(record, ctx) has this body, from line 2 on.
local function validate(body)
  return "return { types = { note = { validate = function(record, ctx)\n"
    .. "do " .. body .. "\nend return true end } } }"
end

local function it_finds(what, text, ...)
  local expected = { ... }
  it(what, support.spec(function()
    assert.same(expected, problems_of(text))
  end))
end

describe("kadenza.policy.lint finds", function()
  it_finds("a misspelt field of a record", validate("return record.pubisher"),
    "2: a record has no field 'pubisher' (did you mean 'publisher'?)")

  it_finds("one of a context, and of its source",
    validate("local a = ctx.form\nreturn ctx.from.adress"),
    "2: a context has no field 'form' (did you mean 'from'?)",
    "3: context.from has no field 'adress' (did you mean 'address'?)")

  it_finds("one of a node", validate("ctx.node:gett(record.key)"),
    "2: a node has no field 'gett' (did you mean 'get'?)")

  it_finds("one of a request, and of a contact", [[
    return {
      rpc = { hi = function(asked) return { a = asked.arg } end },
      on_contact = function(contact) return contact.prot ~= 1 end,
    }]],
    "2: a request has no field 'arg' (did you mean 'args'?)",
    "3: a contact has no field 'prot' (did you mean 'port'?)")

  it_finds("one of a request over HTTP, and of its context", [[
    return { http = {
      ["GET /a"] = function(request) return { body = request.boddy } end,
      ["PUT /a/b.c"] = { run = function(asked, ctx)
        return { json = { asked:json(), ctx.form, asked.params.any } }
      end },
    } }]],
    "2: an HTTP request has no field 'boddy' (did you mean 'body'?)",
    "4: a context has no field 'form' (did you mean 'from'?)")

  it_finds("one in a function that is named elsewhere", [[
    local function check(line, ctx)
      if line.value == "" then return nil, "empty" else
        return line.sequence == ctx.now end
    end
    return { types = { a = { validate = check }, b = { validate = check } } }]],
    "3: a record has no field 'sequence'")

  it_finds("one of the third parameter of a merge", [[
    return { types = { note = { merge = function(held, record, ctx)
      return { record, held[1].anything, ctx.time }
    end } } }]],
    "2: a context has no field 'time'")

  it_finds("a change of a view", validate("record.value = 'x'"),
    "2: 'value' of a record cannot be set: copy it first")

  it_finds("a function that the library does not have", [[
    local kad = require "kadenza"
    return { on_start = function() kad.slep(1) end }]],
    "2: kadenza in a policy has no field 'slep' (did you mean 'sleep'?)")

  it_finds("globals that there are not", [[
    local count = 0
    return { on_start = function()
      total = cuont + os.time()
    end }]],
    "3: global 'total' cannot be set: use 'local'",
    "3: undefined global 'cuont' (did you mean 'count'?)",
    "3: undefined global 'os'")
end)

describe("kadenza.policy.lint finds in tables and functions", function()
  it_finds("globals that are values and indices", [[
    local function one() return { os } end
    local function two() return { [io] = 1, a = debug; load } end
    local function three() return { f = function() total = 1 end } end
    return { on_start = function() return one, two, three end }]],
    "1: undefined global 'os'", "2: undefined global 'debug'",
    "2: undefined global 'io'", "2: undefined global 'load'",
    "3: global 'total' cannot be set: use 'local'")

  it_finds("self outside of methods", [[
    local list = {}
    function list.plain() return self end
    return { on_start = function() return list end }]],
    "2: undefined global 'self'")

  it_finds("a field behind an index, a call and a comparison", validate([[
    local list = { [record.value] = (record.salt == record.pubisher) }
    if #list < 2 and record.sequ > 1 then list[record.typ] = nil end]]),
    "2: a record has no field 'pubisher' (did you mean 'publisher'?)",
    "3: a record has no field 'sequ' (did you mean 'seq'?)",
    "3: a record has no field 'typ' (did you mean 'type'?)")
end)

describe("kadenza.policy.lint", function()
  it("lists the modules beside a policy that it requires", function()
    assert.same({ "words", "deep.er" }, lint.modules([[
      local kad = require("kadenza")
      local crdt, words = require "kadenza.crdt", require("words")
      local name = "other"
      return require(name), require "deep.er", "require", required("x")]]))
    assert.same({}, lint.modules("return require"))
    assert.same({ "kadenzas" }, lint.modules('return require("kadenzas")'))
  end)
end)

describe("kadenza.policy.lint raises no false alarm about", function()
  it_finds("another function in the line of a hook",
    "local other = function(record) return record.foo end return { types = { "
    .. "a = { validate = function(record) return other(record) end } } }")

  it_finds("another library, or a renamed one", [[
    local function pick(name) return { slep = name } end
    local lib = pick("kadenza")
    local kad = require("kadenza")
    local function each(kad) return kad.slep end
    return { on_start = function() return lib.slep, each(lib), kad end }]])

  it_finds("what is as it should be", validate([[
    local copy = record:copy()
    copy.anything = record.value:lower() .. (record.salt or "")
    return ctx.from and ctx.from.proven and ctx.node:get(record.key)]]))

  it_finds("a parameter that something else is named like", validate([[
    local inner = { record = { foo = 1 } }
    for _, record in ipairs({ inner.record }) do
      if record.foo then return nil, record.foo end
    end]]))

  it_finds("one that is set", validate([[
    record = { foo = record.value }
    return record.foo]]))

  it_finds("names in strings and comments", validate([==[
    -- record.foo
    --[[ record.foo
    ]] local a = [[ record.foo ]] .. "record.foo" .. 'rec\'record.foo'
    return #a > 0x1p4 and 1e-5 < 3 ]==]))

  it_finds("keys, labels, fields and attributes", validate([[
    local list <const> = { os = 1, io = 2; debug = 3, ["load"] = 4 }
    goto out
    ::out::
    local x <close> = setmetatable({}, { __close = function() end })
    while list.os == 2 do break end
    repeat local y = list.io if y then return y elseif x then y = 1 else
      y = 2 end until y
    function list.print(a) return a end
    function list:dofile(...) return self, ... end]]))

  it_finds("globals where they may be anything's",
    "local _ENV = setmetatable({}, { __index = _ENV })\n"
    .. "whatever = 1\nreturn {}")

  it_finds("the fields of arguments",
    "return { rpc = { a = function(request) "
    .. "return { x = request.args.whatever } end } }")

  it("fields of the library and methods of the node", support.spec(function()
    local files <close> = policies.files()
    local loaded <close> = assert(testing.load(files:write([[
local kad = require("kadenza")
return function(node)
  for name in pairs(kad) do
    kad.log.info(name)
  end
  return {}
end]])))
    assert.is_true(#loaded.log > 20)
    local uses = {}
    for i, event in ipairs(loaded.log) do
      uses[i] = "local _ = kad." .. event.message
    end
    assert.same({}, problems_of('local kad = require("kadenza")\n'
      .. "return { on_start = function()\n" .. table.concat(uses, "\n")
      .. "\nend }"))
    for _, name in ipairs(require("kadenza.policy.facade").NODE) do
      assert.same({}, problems_of(validate("local _ = ctx.node." .. name)))
    end
  end))

  for _, name in ipairs({ "chat", "counter", "registry" }) do
    it(name, support.spec(function()
      local path = "scripts/policies/" .. name .. ".lua"
      local file <close> = assert(io.open(path))
      local loaded <close> = assert(testing.load(path))
      assert.same({}, lint.check(path, file:read("a"),
        loaded:describe().places))
    end))
  end
end)

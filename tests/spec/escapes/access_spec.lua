-- Attempts to reach the program's state, the machine, the scheduler, another
-- policy or another node.
--
-- Tests scripts/kadenza/sandbox.lua, bindings/policy.

local attempt = require("tests.spec.escapes.attempt")

-- An expression that must be nil.
local function nothing(name, expression)
  return { name, "return { value = tostring(" .. expression .. ") }",
    gives = "nil" }
end

-- An attempt and the error that it must end with.
local function refused(name, code, text)
  return { name, code, fails = text }
end

local SHARED <const> = "shared_spec_marker"

local ROWS <const> = {
  nothing("bytecode, by a string's methods", '("").dump'),
  nothing("the metatable of strings, by a field", '("").__index'),
  nothing("the metatable of strings, by its library", "string.__metatable"),
  nothing("a seed for the numbers of other policies", "math.randomseed"),
  nothing("the scheduler behind a task",
    "kad.spawn(kad.sleep, 1).scheduler"),
  nothing("the coroutine of a task", "kad.spawn(kad.sleep, 1).thread"),
  nothing("the coroutine library behind a task",
    "kad.spawn(kad.sleep, 1).driver"),
  nothing("what counts a task's end", "kad.spawn(kad.sleep, 1).on_ended"),
  nothing("the class of tasks", "kad.spawn(kad.sleep, 1).__index"),
  nothing("the node's handle", "ctx.node.core"),
  nothing("the node's network", "ctx.node.net"),
  nothing("the network, by a method", "ctx.node.network"),
  nothing("the class of nodes", "ctx.node.__index"),
  nothing("the folder of the node's state", "ctx.node.folder"),
  nothing("another state's policies", "ctx.node.policies"),
  refused("methods of views that are not there", "ctx:close()", "'close'"),
  refused("the metatable of a view", "ctx.__index.x = 1", "'__index'"),
  refused("a finalizer of a view", "request:__gc()", "'__gc'"),
  refused("code at run time", 'load("return 1")()', "undefined global 'load'"),
  refused("bytecode at run time", "string.dump(kad.sleep)", "a nil value"),
  refused("the registry", "debug.getregistry()", "undefined global 'debug'"),
  refused("the machine", 'os.execute("true")', "undefined global 'os'"),
  refused("a file", 'io.open("/etc/passwd")', "undefined global 'io'"),
  refused("the loaders", "package.loaded.os.exit()",
    "undefined global 'package'"),
  refused("the metatable of strings", 'getmetatable("").__index.rep = nil',
    "undefined global 'getmetatable'"),
  refused("the metatable of the environment", "setmetatable(_ENV, nil)",
    "protected metatable"),
  refused("a library's metatable", "setmetatable(string, {})",
    "protected metatable"),
  refused("a function of a library", "string.rep = function() end",
    "'string.rep' cannot be set"),
  refused("a raw write", "rawset(string, 'rep', 1)",
    "undefined global 'rawset'"),
  refused("a write by a list", "local n = next; n(string).x = 1",
    "index a nil value"),
  refused("a write by table.insert", "table.insert(string, 1)",
    "'string.1' cannot be set"),
  refused("a write by table.move", "table.move({ 1 }, 1, 1, 1, kad)",
    "'kad.1' cannot be set"),
  refused("the library for other policies", "kad.sleep = error",
    "'kad.sleep' cannot be set"),
  refused("the log for other policies", "kad.log.error = error",
    "'kad.log.error' cannot be set"),
  refused("a global for other policies", SHARED .. " = 1", "cannot be set"),
  refused("a global by _ENV", "_ENV." .. SHARED .. " = 1", "cannot be set"),
  refused("the globals by _G", "_G.x = 1", "undefined global '_G'"),
  refused("a task's methods", "kad.spawn(kad.sleep, 1).await = error",
    "'await' cannot be set"),
  refused("a task's metatable", "setmetatable(kad.spawn(kad.sleep, 1), {})",
    "protected metatable"),
  refused("the node's methods", "ctx.node.get = error",
    "'get' cannot be set"),
  refused("the node's metatable", "setmetatable(ctx.node, {})",
    "protected metatable"),
  refused("a method of the node on something else",
    'ctx.node.get({ core = {} }, kad.key("x"))', "with a colon"),
  refused("a method of a task on something else",
    "kad.spawn(kad.sleep, 0).await({ state = 'done' })", "with a colon"),
  refused("tasks that are tables", "kad.all({ { state = 'done' } })",
    "item 1 is neither a task nor a function"),
  refused("the node's end", "ctx.node:close()",
    "a policy cannot close its node"),
  refused("the node's end, by a scope", "local node <close> = ctx.node",
    "non-closable value"),
  refused("the node's policies", "ctx.node:reload()", "a nil value"),
  refused("a record's fields", "request.args, request.method = nil, nil",
    "cannot be changed"),
  refused("a finalizer", "setmetatable({}, { __gc = error })", "finalizers"),
  { "the sandbox, by an inherited finalizer", [[
    local run = false
    setmetatable({}, setmetatable({}, { __index = { __gc = function()
      run = true
    end } }))
    for _ = 1, 5000 do local _ = {} end
    return { value = tostring(run) } ]], gives = "false" },
  { "the sandbox, by a finalizer that is set when it is looked for", [[
    local run = false
    local meta = setmetatable({}, { __index = function(t, name)
      t[name] = function() run = true end
    end })
    setmetatable({}, meta)
    for _ = 1, 5000 do local _ = {} end
    return { value = tostring(run) } ]], gives = "false" },
  refused("a module above", 'require("../keeper")', "not the name of a module"),
  refused("a module of the library", 'require("kadenza.core")',
    "policies have no module"),
  refused("a module of the library, by an upper folder",
    'require("kadenza..core")', "not the name of a module"),
  refused("a module of C", 'require("lfs")', "No such file"),
  { "the sandbox, by a finalizer added later", [[
    local meta, run = {}, false
    setmetatable({}, meta)
    meta.__gc = function() run = true end
    for _ = 1, 5000 do local _ = {} end
    return { value = tostring(run) } ]], gives = "false" },
  { "the globals of what a pcall calls", [[
    local fine, message = pcall(_ENV.error, "x")
    return { value = message } ]], gives = "x" },
  { "a module that poisons what others require", [[
    local words = require("words")
    words.x = "poisoned"
    return { value = require("words").x .. tostring(words == require("words")) }
  ]], files = { ["words.lua"] = "return { x = 1 }" },
    gives = "poisonedtrue" },
  { "a module that requires itself", 'return require("again")',
    files = { ["again.lua"] = 'return require("again")' },
    fails = "requires itself" },
  { "a module that never ends", 'return require("ever")',
    files = { ["ever.lua"] = "while true do end" }, fails = "ran too long" },
  { "a module that fails, again and again", [[
    while true do pcall(require, "broken") end ]],
    files = { ["broken.lua"] = "error('x')" }, fails = "ran too long" },
  { "a module of bytecode", 'return require("binary")',
    files = { ["binary.lua"] = string.dump(function() end) },
    fails = "attempt to load a binary chunk" },
  { "a module that calls itself the library's",
    'return require("x.kadenza.task")',
    files = { ["x/kadenza/task.lua"] = "while true do end" },
    fails = "ran too long" },
  { "the request of another call", place = "file", [[
    local kept
    return { name = "attack", rpc = { attack = function(request)
      kept = kept or request
      return { value = kept.args.x }
    end } } ]], times = 2, fails = "was used after its hook had ended" },
  { "the context of another call", place = "file", [[
    local kept
    return { name = "attack", rpc = { attack = function(_, ctx)
      kept = kept or ctx
      return { value = tostring(kept.from.host) }
    end } } ]], times = 2, fails = "was used after its hook had ended" },
  { "the copy function of a record on something else", place = "validate", [[
    return record.copy({ value = "x" }) ]], fails = "record expected" },
  { "a view of a record, changed", place = "validate", [[
    record.value = "changed"
    return true ]], fails = "cannot be changed" },
  { "an answer that runs code when it is read", place = "file", [[
    return { name = "attack", types = { note = { merge = function(held, record)
      return { setmetatable({}, { __index = function(_, name)
        local waste = {}
        for i = 1, 200 do waste[i] = ("x"):rep(900) .. i end
        return name == "value" and ("y"):rep(900) or nil
      end }) }
    end } }, rpc = { attack = function() return { value = "" } end } } ]],
    by = "validate", fails = "field 'value' is missing" },
}

describe("an escape by access to", function()
  for _, row in ipairs(ROWS) do
    it(row[1], attempt.spec(row))
  end
end)

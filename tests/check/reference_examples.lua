-- Runs the examples of the Lua reference, which are those of the heads of the
-- modules. Prints TAP.
--
--   lua5.4 tests/check/reference_examples.lua docs/reference/lua.md
--
-- An example is a block that is indented by four spaces. It must end without an
-- error within EXAMPLE_SECONDS (30), in a process of its own. Most examples are
-- a part of a program: FRAMES has the rest.
--
-- BUILD names the folder of the build, LUA the interpreter.

local kad = require("kadenza")
local testing = require("kadenza.testing")

local EXAMPLE_SECONDS <const> = os.getenv("EXAMPLE_SECONDS") or "30"
local BUILD <const> = os.getenv("BUILD") or "build"
local LUA <const> = os.getenv("LUA") or "lua5.4"
local ROOT <const> = assert(os.getenv("PWD"))

-- The policy of examples that load a file.
local GUESTBOOK <const> = [[
return {
  types = { line = {
    validate = function(record)
      if record.value == "spam" then
        return nil, "no spam, please"
      elseif record.value == "break" then
        error("broken")
      end
      return true
    end,
    merge = function(_, incoming) return { incoming } end,
    select = function(records) return records end,
  } },
  on_request = function() return true end,
  on_contact = function() return true end,
  rpc = { greet = function() return { text = "hello" } end },
}
]]

---------------------------------------------------------------- running --

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- Calls fn(folder) with a folder for files, which is removed afterwards.
local function with_folder(fn)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(("mkdir '%s'"):format(folder)))
  local _ <close> = setmetatable({}, { __close = function()
    os.execute(("rm -rf '%s'"):format(folder))
  end })
  fn(folder)
end

local function execute(command, ...)
  assert(os.execute(command:format(...)), "the command failed")
end

-- Runs an example with more globals; returns those that it has then.
local function run(text, globals)
  local environment = setmetatable(globals or {}, { __index = _G })
  environment.kad = environment.kad or kad
  assert(load(text, "=example", "t", environment))()
  return environment
end

-- Runs an example whose first paragraphs, up to the one that sets `types`,
-- define the policy: the rest runs in a task of an overlay that has it, as
-- `node`.
local function run_with_types(text, globals)
  local first, rest = "", text
  repeat
    local paragraph
    paragraph, rest = rest:match("^(.-\n)\n(.*)$")
    first = first .. paragraph
  until paragraph:find("types = ", 1, true)
  local environment = run(first:gsub("%f[^\n\0]local ", ""), globals)
  local net <close> = kad.sim({ nodes = 20,
    policies = { { types = environment.types } } })
  environment.node, environment.key = net.nodes[3], kad.key("a key")
  net:perform(function()
    run(rest, environment)
  end)
end

-- Runs an example that asserts about hook calls and an overlay.
local function run_with_policy(text)
  with_folder(function(folder)
    local path = folder .. "/policy.lua"
    write(path, GUESTBOOK)
    local policy <close> = assert(testing.load(path))
    local overlay <close> = testing.overlay({ nodes = 20, policies = { path } })
    local key = kad.key("book")
    overlay:perform(function()
      assert(overlay.nodes[1]:put(key, "hello", { type = "line" }))
    end)
    local function validate(value)
      return policy:call("types.line.validate", { value = value })
    end
    run(text, { policy = policy, overlay = overlay, key = key,
      assert = require("luassert"), good = validate("hello"),
      bad = validate("spam"), broken = validate("break"),
      context = {}, held = { value = "a" }, record = { value = "b" } })
  end)
end

-- A policy with a web face, for the example of a request.
local POLL <const> = [[
local votes = {}
return {
  name = "poll",
  http = {
    ["PUT /poll/:name"] = function(request)
      votes[#votes + 1] = assert(request:json()).vote
      return { status = 204 }
    end,
    ["GET /poll/:name"] = function(request)
      return { json = { table.unpack(votes, 1, tonumber(request.query.n)) } }
    end,
  },
}]]

local function run_with_poll(text)
  with_folder(function(folder)
    local path = folder .. "/poll.lua"
    write(path, POLL)
    local policy <close> = assert(testing.load(path))
    run(text, { policy = policy, assert = require("luassert") })
  end)
end

-- Joins through a node that this starts, in place of one on the internet.
local function run_with_node(text)
  with_folder(function(folder)
    execute("cd '%s' && (timeout %s '%s/kadenza' run --allow-local "
      .. "--listen 127.0.0.1:0 --state state >out 2>&1 & echo $! >pid)\n"
      .. "until grep -q listening out; do sleep 0.1; done", folder,
      EXAMPLE_SECONDS, ROOT .. "/" .. BUILD)
    local _ <close> = setmetatable({}, { __close = function()
      execute("kill $(cat '%s/pid')", folder)
    end })
    local address = read(folder .. "/out"):match("listening on (%S+)")
    run((text:gsub('{ "192%.0%.2%.1:6881" }', '{ "' .. address
      .. '" }, allow_local = true, listen = "127.0.0.1:0"')))
  end)
end

local function run_with_network_key(text)
  with_folder(function(folder)
    local path = folder .. "/net.key"
    execute("'%s/kadenza' keygen --network '%s' >/dev/null", ROOT .. "/"
      .. BUILD, path)
    local example = text:gsub("net%.key", path):gsub("local node", "node")
      :gsub("kad%.node {", "%0 listen = '127.0.0.1:0', allow_local = true,")
    run(example).node:close()
  end)
end

local function run_as_spec(text)
  with_folder(function(folder)
    write(folder .. "/guestbook.lua", GUESTBOOK)
    write(folder .. "/example_spec.lua", text)
    execute("cd '%s' && ${BUSTED:-busted} --lua='%s' example_spec.lua", folder,
      LUA)
  end)
end

local function run_as_scenario(text)
  with_folder(function(folder)
    write(folder .. "/example.lua", text)
    execute("'%s/kadenza' sim '%s/example.lua' --nodes 40 --hours 0.2",
      ROOT .. "/" .. BUILD, folder)
  end)
end

----------------------------------------------------------------- frames --

local function pair()
  local made = kad.keypair()
  return { secret = made.secret, publisher = made.publisher }
end

-- Runners of the examples below each heading, in order.
local FRAMES <const> = {
  ["kad"] = { run_with_node },
  ["kadenza.Sim"] = { run },
  ["kadenza.sim.scenario"] = { run_as_scenario },
  ["kadenza.testing"] = { run_as_spec, run_with_policy },
  ["kadenza.testing.Policy"] = { run_with_policy, run_with_poll },
  ["kad.box"] = { run },
  ["kad.log"] = { run },
  ["kad.loop"] = { run },
  ["kadenza.blob"] = { function(text)
    run(text, { bytes = ("many bytes "):rep(1000) })
  end },
  ["kadenza.crdt"] = { run_with_types },
  ["kadenza.crdt.kind"] = { run },
  ["kadenza.crawl"] = { run },
  ["kadenza.store.conformance"] = { function(text)
    run(text, { my_store = require("tests.check.my_store") })
  end },
  ["kadenza.metrics"] = { run },
  ["kadenza.rates"] = { run },
  ["kadenza.lease"] = { function(text)
    run_with_types(text, { make_backup = function() end })
  end },
  ["kadenza.limit"] = { function(text)
    local made = run(text)
    local net <close> = kad.sim({ nodes = 5, policies = { {
      on_request = made.on_request,
      types = { line = { validate = made.validate } },
    } } })
    net:perform(function()
      assert(net.nodes[1]:put(kad.key("a"), "b", { type = "line" }))
    end)
  end },
  ["kadenza.signed"] = { function(text)
    local editor = pair()
    run_with_types(text, { editor = editor, deputy = pair(),
      the_editors_key = editor.publisher })
  end },
  ["kadenza.network_key"] = { run_with_network_key },
  ["kadenza.pubsub"] = { run },
}

--------------------------------------------------------------- document --

---@return { heading: string, line: integer, text: string }[]
local function read_examples(path)
  local examples, heading, current, number, before = {}, "", nil, 0, ""
  for line in io.lines(path) do
    number = number + 1
    heading = line:match("^## (.*)$") or heading
    local text = line:match("^    (.*)$")
    if text and (current or before == "") then
      current = current or { heading = heading, line = number, text = "" }
      current.text = current.text .. text .. "\n"
    elseif current and line == "" then
      current.text = current.text .. "\n"
    elseif current then
      examples[#examples + 1], current = current, nil
    end
    before = line
  end
  return examples
end

-- Returns the runners of examples, in their order.
local function find_runners(examples)
  local counts, runners = {}, {}
  for i, example in ipairs(examples) do
    local number = (counts[example.heading] or 0) + 1
    counts[example.heading] = number
    runners[i] = (FRAMES[example.heading] or {})[number]
  end
  return runners
end

local function run_all(path, examples, runners)
  local failed = 0
  for i, example in ipairs(examples) do
    local command = ("timeout -k 5 %s '%s' '%s' '%s' %d >&2"):format(
      EXAMPLE_SECONDS, LUA, arg[0], path, i)
    local ok = runners[i] and os.execute(command)
    failed = failed + (ok and 0 or 1)
    print(("%s %d - %s:%d %s"):format(ok and "ok" or "not ok", i, path,
      example.line, example.heading))
    if not runners[i] then
      print("# no frame for it in " .. arg[0])
    end
  end
  print("1.." .. #examples)
  return failed == 0
end

local path, only = arg[1], tonumber(arg[2])
local examples = read_examples(assert(path, "a document is needed"))
local runners = find_runners(examples)
if only then
  runners[only](examples[only].text)
else
  os.exit(run_all(path, examples, runners), true)
end

--- Runs attempts of a policy to escape from its sandbox, to exceed its budget,
--- to stop its node or to lose the node's records; asserts that they fail.
--
--     for _, row in ipairs({
--       { "a loop", "while true do end", fails = "ran too long" },
--     }) do
--       it(row[1], attempt.spec(row))
--     end
--
-- The attack is a policy file. Its code is the body of a query's hook, or as
-- `place` says: the body of "validate" or of "start", or the whole "file". The
-- node also runs another policy, the keeper, which must not be affected. A row
-- has one or more of these expectations:
--
--   fails = text    the hook fails, is counted, and the log says the text, or
--                   one of a list of texts, where releases of Lua differ
--   counted = true  the hook fails and is counted
--   gives = text    the hook replies { value = text }: nothing was gained
--   logs = text     a background task fails, and the log says the text
--   refused = text  the policy is not loaded, and the message says the text
--
-- For each row, the node must reply to pings, the keeper's hooks must be served
-- (unless the attempt leaves the policies' memory `full`), all earlier records
-- must be there, memory must be below the limit, and the attempt must end soon.

local assert = require("luassert")
local kad = require("kadenza")
local policy = require("kadenza.policy")
local support = require("tests.spec.support")

local M = {}

local INSTRUCTIONS <const> = 300000 -- of an entry; default
local MEMORY <const> = 6 * 1024 * 1024
local SECONDS <const> = 5 -- limit of processor time of an attempt
local RECORDS <const> = 5 -- held of each type
local KEEPER <const> = [[
  local seen = 0
  return { name = "keeper", types = { kept = { max_values = 8,
    validate = function(record)
      seen = seen + 1
      return record.value:find("^kept") ~= nil or nil, "not mine"
    end,
  } }, rpc = { seen = function() return { seen = seen } end } }
]]

-- The policies around the code of an attempt, by its place.
local PLACES <const> = {
  rpc = [[
    local kad = require("kadenza")
    return { name = "attack", deadline = 2, rpc = { attack =
      function(request, ctx) %s
      end } }]],
  validate = [[
    local kad = require("kadenza")
    return { name = "attack", deadline = 2, types = { note = { validate =
      function(record, ctx) %s
      end } } }]],
  start = [[
    local kad = require("kadenza")
    return { name = "attack", on_start = function(node) %s
      end }]],
  file = "%s",
}

--- Calls `fn` with the budgets of an attempt.
---@param row table
---@param fn fun(): ...
---@return any ...
function M.with_budgets(row, fn)
  local instructions, memory = policy.INSTRUCTIONS, policy.MEMORY
  policy.INSTRUCTIONS, policy.MEMORY = row.instructions or INSTRUCTIONS, MEMORY
  local results = table.pack(pcall(fn))
  policy.INSTRUCTIONS, policy.MEMORY = instructions, memory
  if not results[1] then
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

-- Writes the two policies, and other files of the attempt.
local function write_files(folder, row)
  local place = PLACES[row.place or "rpc"]
  write(folder .. "/keeper.lua", KEEPER)
  write(folder .. "/attack.lua", (place:gsub("%%s", function()
    return row[2]
  end)))
  for name, text in pairs(row.files or {}) do
    if name:find("/") then
      assert(os.execute(("mkdir -p '%s/%s'"):format(folder,
        name:match("^(.*)/"))))
    end
    write(folder .. "/" .. name, text)
  end
  return { folder .. "/attack.lua", folder .. "/keeper.lua" }
end

local function store_records(world)
  for i = 1, RECORDS do
    local key = kad.key("record " .. i)
    assert(world.other:put(key, "value " .. i))
    assert(world.other:put(key, "kept " .. i, { type = "kept" }))
  end
end

local function assert_records(world, types)
  for i = 1, RECORDS do
    for _, name in ipairs(types) do
      local value = world.node:get(kad.key("record " .. i), { type = name })
      assert.equal(name .. " " .. i, value)
    end
  end
end

local function says(events, texts)
  local said = {}
  for _, event in ipairs(events) do
    local line = event.message .. " " .. tostring(event.fields.error)
    for _, text in ipairs(texts) do
      if line:find(text, 1, true) then
        return true
      end
    end
    said[#said + 1] = line
  end
  return false, table.concat(said, "\n")
end

local function assert_says(events, expected)
  local texts = type(expected) == "table" and expected or { expected }
  local found, said = says(events, texts)
  assert(found, ("the log does not say %q, but:\n%s"):format(
    table.concat(texts, " or "), said))
end

-- Asserts that the keeper's hooks are served.
local function assert_keeper(world)
  local reply, message = world.other:call(world.node:addresses()[1], "seen")
  assert(reply, message)
  assert(world.other:put(kad.key("later"), "kept later", { type = "kept" }))
  local hooks = policy.stats(world.node).hooks
  for _, hook in ipairs({ "keeper: kept.validate", "keeper: rpc.seen" }) do
    assert.equal(0, hooks[hook].errors)
  end
end

-- Asserts that the node and its records are intact.
local function assert_sound(world, row)
  assert(world.other:ping(world.node:addresses()[1]))
  local memory = policy.stats(world.node).memory
  assert(memory <= MEMORY, "memory: " .. memory)
  if not row.full then
    assert_keeper(world)
  end
  assert_records(world, row.full and { "value" } or { "value", "kept" })
end

-- The functions that trigger an attempt, by its place; `by` names another one.
local TRIGGERS <const> = {
  rpc = function(world)
    local reply, _, _, info =
      world.other:call(world.node:addresses()[1], "attack")
    world.reply, world.info = reply, info
  end,
  validate = function(world)
    local stored, message =
      world.other:put(kad.key("a note"), "x", { type = "note" })
    world.stored, world.message = stored, message
  end,
  start = function() end,
}
TRIGGERS.file = TRIGGERS.rpc

local function assert_outcome(world, row)
  local stats = policy.stats(world.node)
  if row.fails or row.counted then
    local errors = 0
    for name, hook in pairs(stats.hooks) do
      errors = errors + (name:find("^attack: ") and hook.errors or 0)
    end
    assert.is_true(errors >= 1)
  elseif row.gives then
    assert(world.reply, world.info and world.info.reason or "no reply")
    assert.equal(row.gives, world.reply.value)
  end
end

local function open_world(row, paths)
  local config = { limits = false, max_pending_hooks = row.max_pending_hooks }
  local net = kad.sim({ join = false, seed = 1, config = config })
  local world = { net = net }
  local node, message = net:open({ policies = paths })
  if not node then
    net:close()
    return nil, message
  end
  world.node = node
  world.other = assert(net:open({ policies = { { types = {
    kept = { republish = false },
    note = { republish = false },
  } } } }))
  return world
end

local function perform(row, paths)
  local world, message = open_world(row, paths)
  if row.refused then
    assert.is_nil(world)
    assert(message:find(row.refused, 1, true), message)
    return
  end
  local _ <close> = assert(world, message).net
  world.net:perform(function()
    assert(world.other:bootstrap(world.node:addresses()))
    kad.sleep(5)
    store_records(world)
    for _ = 1, row.times or 1 do
      TRIGGERS[row.by or row.place or "rpc"](world)
    end
    kad.sleep(row.later or 5)
    assert_outcome(world, row)
    assert_sound(world, row)
    if row.check then
      row.check(world)
    end
    if row.closes then
      world.node:close()
      kad.sleep(1)
    end
  end)
end

local function run(row)
  local folder <const>, remove = support.temporary_folder()
  local _ <close> = setmetatable({}, { __close = remove })
  local begun = os.clock()
  local events = support.logged(function()
    M.with_budgets(row, function()
      perform(row, write_files(folder, row))
    end)
  end)
  local took = os.clock() - begun
  assert(took < SECONDS, ("it took %.1f s"):format(took))
  for _, text in ipairs({ row.fails or row.logs, row.fails and row.logs }) do
    assert_says(events, text)
  end
end

--- Returns the body of a spec of one attempt.
---@param row table
---@return fun()
function M.spec(row)
  return support.spec(function()
    run(row)
  end)
end

return M

--- The frame of an attacker in Lua: a script that plays random cases against
--- the library until a check of its own, a sanitizer or a crash ends one. It
--- does the same as tests/attack/attack.h.
--
--     attacker.run({ name = "state", steps = 8,
--       begin = function(seed, show) return case end, -- must be closed
--       step = function(case, seed) … end,
--       finish = function(case) … end })
--
--     lua NAME_attack.lua --seed 7 --seconds 20  cases for 20 seconds
--     lua NAME_attack.lua --seed 7 --cases 1000  or so many
--     lua NAME_attack.lua --case SEED            one case again
--     lua NAME_attack.lua --file FILE            a reduced case
--
-- A case is a seed and a list of steps, each a seed of its own. Cases run in a
-- process of their own, some in each. A case that ends its process, raises an
-- error or is not over after CASE_SECONDS of processor time fails: a machine
-- that is busy with something else makes none fail. Nor may a case wait for
-- HANG_SECONDS. It is played again with fewer and fewer steps. What still fails
-- is written to build/attack/NAME-SEED.case.
--
-- The last line is "attack NAME: seed N, M cases, K failures".

local uv = require("luv")
local Dice = require("tests.attack.lua.dice")

local M = {}

local BATCH <const> = 200 -- cases of a process, at most
local BATCH_SECONDS <const> = 10 -- after which it begins no other
local CASE_SECONDS <const> = 60 -- of processor time
local HANG_SECONDS <const> = 300 -- of a clock on the wall
local REDUCE_SECONDS <const> = 60 -- then what is left is good enough
local FAILURES_MAX <const> = 10 -- then the attacker ends
local SEED_SHIFT <const> = 24 -- seeds of cases have 40 bits, to be typed
local SHOWN <const> = 6000 -- bytes of what a failed case has printed
local FOLDER <const> = "build/attack"

------------------------------------------------------------------- cases --

local function case_seed(run_seed, number)
  return Dice.new(run_seed * 0x2545f4914f6cdd1d + number):next() >> SEED_SHIFT
end

local function make_case(attack, seed)
  local dice, steps = Dice.new(seed), {}
  for i = 1, 1 + dice:below(attack.steps) do
    steps[i] = dice:next()
  end
  return { seed = seed, steps = steps }
end

-- Plays a case in this process. Raises if it fails.
local function play(attack, case, show)
  local played <close> = attack.begin(case.seed, show)
  for i, step in ipairs(case.steps) do
    show("step %d: %d", i, step)
    attack.step(played, step)
  end
  attack.finish(played)
end

local function path_of(attack, case, suffix)
  return ("%s/%s-%d%s"):format(FOLDER, attack.name, case.seed, suffix)
end

local function write_case(path, case)
  local file <close> = assert(io.open(path, "w"))
  file:write(case.seed, "\n", table.concat(case.steps, "\n"), "\n")
end

local function read_case(path)
  local case = { steps = {} }
  for line in io.lines(path) do
    local number = math.tointeger(tonumber(line))
    if case.seed then
      table.insert(case.steps, number)
    else
      case.seed = number
    end
  end
  return case
end

--------------------------------------------------------------- processes --

local function reader(pipe, take)
  pipe:read_start(function(_, data)
    if data then
      take(data)
    else
      pipe:close()
    end
  end)
end

-- Ends a process: it has a second to follow SIGTERM.
local function end_process(child)
  child.is_late = true
  child.handle:kill("sigterm")
  child.watchdog:start(1000, 0, function()
    child.needed_kill = true
    child.handle:kill("sigkill")
  end)
end

-- The kernel ends a process that has used its processor time, in which it may
-- have played other cases before.
local LIMITED <const> = ('ulimit -S -t %d && exec "$@"'):format(
  BATCH_SECONDS + CASE_SECONDS)

-- Says in the text of a process why it was ended.
local function explain(child, signal)
  local why
  if child.is_late then
    why = ("not over in %d s%s"):format(HANG_SECONDS,
      child.needed_kill and ", and deaf to SIGTERM" or "")
  elseif signal == uv.constants.SIGXCPU then
    why = ("not over after %d s of processor time%s"):format(CASE_SECONDS,
      child.has_played and ", while the process ended" or "")
  end
  child.text = why and child.text .. "\n" .. why or child.text
end

-- Runs this script with arguments; returns what became of it: `failed`, `text`
-- (what it printed), `number` (of the last case begun).
local function run_script(arguments)
  local output, errors = uv.new_pipe(), uv.new_pipe()
  local child = { text = "", watchdog = uv.new_timer() }
  local function wind_up()
    child.watchdog:start(HANG_SECONDS * 1000, 0, function()
      end_process(child)
    end)
  end
  local ended_by
  local all = { "-c", LIMITED, "sh", arg[-1], arg[0], table.unpack(arguments) }
  child.handle = assert(uv.spawn("/bin/sh", { args = all,
    stdio = { nil, output, errors } }, function(status, signal)
      child.failed = status ~= 0 or signal ~= 0
      child.status = ("status %d, signal %d"):format(status, signal)
      ended_by = signal
      child.handle:close()
      child.watchdog:close()
    end))
  wind_up()
  reader(output, function(data)
    child.number = tonumber(data:match(".*case (%d+)\n")) or child.number
    child.has_played = data:find("played\n", 1, true) ~= nil
    if not child.is_late then
      wind_up()
    end
  end)
  reader(errors, function(data)
    child.text = (child.text .. data):sub(-SHOWN)
  end)
  uv.run()
  explain(child, ended_by)
  return child
end

-- Plays a case in a process of its own.
local function play_apart(attack, case)
  local path = path_of(attack, case, ".try")
  write_case(path, case)
  local child = run_script({ "--file", path })
  os.remove(path)
  return child
end

-- Returns the case without the steps from `at` of that width.
local function leave_out(case, at, width)
  local steps = table.move(case.steps, 1, at - 1, 1, {})
  table.move(case.steps, at + width, #case.steps, at, steps)
  return { seed = case.seed, steps = steps }
end

-- Leaves out steps, as long as the case fails without them.
local function reduce(attack, case)
  local ends_at, width = os.time() + REDUCE_SECONDS, #case.steps
  while width > 0 do
    local at = 1
    while at + width - 1 <= #case.steps and os.time() < ends_at do
      local shorter = leave_out(case, at, width)
      if play_apart(attack, shorter).failed then
        case = shorter
      else
        at = at + width
      end
    end
    width = width // 2
  end
  return case
end

----------------------------------------------------------------- running --

local function say(...)
  print(string.format(...))
  io.stdout:flush()
end

local function report(attack, case, child)
  local whole = #case.steps
  case = reduce(attack, case)
  local path = path_of(attack, case, ".case")
  write_case(path, case)
  say("%s", child.text)
  say("failure: case %d, %d of %d steps (%s)", case.seed, #case.steps, whole,
    child.status)
  say("repeat:  %s --file %s", arg[0], path)
  say("         %s --case %d", arg[0], case.seed)
end

-- Finds the case that ended a batch, and reports it.
local function find_failure(attack, options, from, child)
  local case = make_case(attack,
    case_seed(options.seed, child.number or from))
  local alone = play_apart(attack, case)
  if alone.failed then
    report(attack, case, alone)
    return
  end
  say("%s", child.text)
  say("failure: cases %d to %d fail together only (%s); repeat: %s --seed %d "
    .. "--from %d --cases %d", from, child.number or from, child.status,
    arg[0], options.seed, from, (child.number or from) - from + 1)
end

-- Plays cases here, from `options.from` on, and says which.
local function run_batch(attack, options)
  local ends_at = os.time() + BATCH_SECONDS
  local function show() end
  for number = options.from, options.from + options.cases - 1 do
    if os.time() >= ends_at and number > options.from then
      break
    end
    io.stdout:write("case ", number, "\n")
    io.stdout:flush()
    play(attack, make_case(attack, case_seed(options.seed, number)), show)
  end
  io.stdout:write("played\n")
  io.stdout:flush()
end

local function run_all(attack, options)
  local begun, failures, ends_at = 0, 0, os.time() + options.seconds
  while failures < FAILURES_MAX and begun < options.cases
    and os.time() < ends_at
  do
    local child = run_script({ "--seed", tostring(options.seed), "--from",
      tostring(begun), "--cases", tostring(math.min(BATCH,
        options.cases - begun)) })
    if child.failed then
      failures = failures + 1
      find_failure(attack, options, begun, child)
    end
    begun = (child.number or begun) + 1
  end
  say("attack %s: seed %d, %d cases, %d failures", attack.name, options.seed,
    begun, failures)
  return failures == 0
end

-- Plays one case here, and shows what it does.
local function run_one(attack, case)
  play(attack, case, function(format, ...)
    io.stderr:write(format:format(...), "\n")
  end)
  say("attack %s: case %d, %d steps: no failure", attack.name, case.seed,
    #case.steps)
end

local NUMBERS <const> =
  { seed = true, seconds = true, cases = true, case = true, from = true }

local function fail_usage()
  io.stderr:write("usage: ", arg[0], " [--seed N] [--seconds S | --cases N | ",
    "--case SEED | --file FILE]\n")
  os.exit(2)
end

-- Returns the value of an option, or nil if it is wrong.
local function read_value(name, text)
  if name == "file" then
    return text
  end
  return NUMBERS[name] and math.tointeger(tonumber(text)) or nil
end

local function read_options()
  local options = { seed = 1 }
  for i = 1, #arg, 2 do
    local name = arg[i]:match("^%-%-(%l+)$") or ""
    options[name] = read_value(name, arg[i + 1]) or fail_usage()
  end
  options.seconds = options.seconds or options.cases and math.maxinteger // 2
    or 10
  options.cases = options.cases or math.maxinteger // 2
  return options
end

--- Runs an attacker as the arguments of the script say, and ends the process:
--- with status 1 if a case failed, 2 for wrong arguments.
---@param attack table
function M.run(attack)
  local options = read_options()
  assert(os.execute("mkdir -p " .. FOLDER))
  if options.file or options.case then
    run_one(attack, options.file and read_case(options.file)
      or make_case(attack, options.case))
  elseif options.from then
    run_batch(attack, options)
  elseif not run_all(attack, options) then
    os.exit(1, true)
  end
end

return M

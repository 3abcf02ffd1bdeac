--- kadenza watch: prints changes of the values under a key until it is stopped.
--- Tested by tests/spec/cli/watch_spec.lua.

local client = require("kadenza.cli.client")
local config = require("kadenza.cli.config")
local fault = require("kadenza.cli.fault")
local get = require("kadenza.cli.get")
local input = require("kadenza.cli.input")
local kad = require("kadenza")
local output = require("kadenza.cli.output")
local pubsub = require("kadenza.pubsub")
local schema = require("kadenza.cli.schema")
local shown = require("kadenza.shown")
local watcher = require("kadenza.cli.watcher")

local MAX_VALUE <const> = 900 -- bytes of a record that fits in a push

local CHECK_SECONDS <const> = 1 -- between two checks of the reader

-- Types whose records no node pushes.
local UNPUSHED <const> = { value = true, peers = true }

local M = {
  summary = "Print changes of the values under a key.",
  description = "Prints a line for each value that is present under KEY, and "
    .. "then one for each that is stored (changed) or has expired, until "
    .. "SIGINT (Ctrl-C) or SIGTERM. Nodes that run the policy `pubsub` push "
    .. "values of the type `event` at once; other values are looked up at "
    .. "intervals, and when their time has passed.",
  usage = "KEY",
  example = "watch news --type event --bootstrap 192.0.2.1:6881",
  settings = client.SETTINGS,
}

-- Options of this command only.
local OPTIONS <const> = {
  schema.RECORD_TYPE,
  { name = "interval", kind = "number", flag = "--interval", min = 1,
    max = 86400, default = 30, argname = "SECONDS",
    text = "Time between two look-ups while no node pushes." },
  { name = "count", kind = "number", flag = "--count", min = 1,
    max = math.maxinteger, argname = "N",
    text = "End after N values have changed or expired." },
  { name = "timeout", kind = "number", flag = "--timeout", min = 1,
    max = 31536000, argname = "SECONDS",
    text = "End after this time; with --count, with status 1." },
}

function M.arguments(command)
  command:argument("key", "An id in hexadecimal, or a name that is hashed.")
  return schema.add_options(command, OPTIONS)
end

-- Returns the hub that the nodes of a type may run, or nil. Policy files have
-- their own.
local function hub_of(kind, settings)
  if UNPUSHED[kind] or #settings.policies > 0
    or not kind:find("^[a-z0-9_.-]+$") or #kind > 20 then
    return nil
  elseif kind == "event" then
    return pubsub.new()
  end
  return pubsub.new({ name = kind, type = { max_size = MAX_VALUE } })
end

-- Returns a function that prints an event as a line.
local function make_printer(key, settings, decode)
  return function(event, record)
    local time = os.date("!%Y-%m-%dT%H:%M:%SZ")
    if settings.json then
      local document = get.describe(record)
      document.value, document.value_hex = nil, nil
      output.set_bytes(document, "value", decode(record.value))
      document.key, document.event, document.time = kad.hex(key), event, time
      output.json(document)
    else
      output.text(("%s %s %s\n"):format(time, event,
        shown.line(decode(record.value))))
    end
    output.flush()
  end
end

-- Ends the program when the reader of its output has ended: the next event may
-- be days away.
local function check_reader()
  while true do
    kad.sleep(CHECK_SECONDS)
    output.check_reader()
  end
end

-- Makes signals, the end of the reader and a time end the run.
local function limit(follower, options, network)
  for _, name in ipairs({ "SIGINT", "SIGTERM" }) do
    network:on_signal(name, function()
      follower:stop("signal")
    end)
  end
  kad.spawn(check_reader)
  if options.timeout then
    kad.spawn(function()
      kad.sleep(options.timeout)
      follower:stop("timeout")
    end)
  end
end

local function watch(node, key, options, settings, hub)
  local follower
  local print_event = make_printer(key, settings, hub and hub.decode
    or function(value)
      return value
    end)
  local left = options.count
  follower = watcher.new(node, {
    key = key,
    type = options.type,
    interval = options.interval,
    hub = hub,
    report = function(event, record)
      if left == 0 then
        return
      end
      print_event(event, record)
      left = event ~= "present" and left and left - 1 or left
      if left == 0 then
        follower:stop("count")
      end
    end,
  })
  limit(follower, options, node:network())
  return follower:run()
end

-- Raises a fault for what ended a watch before its time.
local function check_end(why, problem, options)
  if fault.is(problem) or type(problem) == "string" then
    error(problem, 0)
  elseif problem then
    client.need(nil, problem.message, problem.code)
  elseif why == "timeout" and options.count then
    fault.failed(("fewer than %d values have changed or expired within %d s")
      :format(options.count, options.timeout), "KAD_ETIMEOUT")
  end
end

function M.run(args, settings)
  local key = input.key(args.key, settings.id_bits)
  local options = config.read_own(OPTIONS, args)
  local hub = hub_of(options.type, settings)
  return client.join(settings, function(node)
    local why, problem = watch(node, key, options, settings, hub)
    check_end(why, problem, options)
  end, {
    policies = hub and { hub:policy() },
    read_only = hub == nil, -- a node that is pushed to must reply
    cache = false,
    repair = false,
  })
end

return M

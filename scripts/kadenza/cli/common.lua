--- What the commands of the program share: options, output, and joining.

local core = require("kadenza.core")
local dkjson = require("dkjson")
local kad = require("kadenza")
local log = require("kadenza.log")

local M = {}

--- Adds the options that every command with a node takes.
function M.node_options(command)
  command:option("--listen", "Address to listen on; may be repeated.")
    :argname("ADDR:PORT"):count("*")
  command:option("--bootstrap", "Node to join through; may be repeated.")
    :argname("HOST:PORT"):count("*")
  command:option("--id", "Own id, 40 or 64 hexadecimal digits.")
    :argname("HEX")
  command:flag("--allow-local",
    "Admit loopback and private addresses, which are refused otherwise.")
  command:option("--log", "Level: error, warn, info, debug or off.")
    :argname("LEVEL"):choices({ "error", "warn", "info", "debug", "off" })
  command:flag("--json", "Print, and log, JSON.")
end

--- Prints a table as one line of JSON.
function M.print_json(value)
  io.stdout:write(dkjson.encode(value), "\n")
end

--- Says what went wrong, and returns the status of a failed operation.
function M.failed(message)
  io.stderr:write("kadenza: ", message, "\n")
  return 1
end

--- Says what was wrong with the command line, and returns its status.
function M.misused(message)
  io.stderr:write("kadenza: ", message, "\n")
  return 2
end

--- Sets up the log as the arguments say.
function M.configure_log(args, level)
  log.configure({
    level = args.log or level,
    format = args.json and "json" or "text",
  })
end

--- Reads a key: an id in hexadecimal, or any other text, which is hashed.
function M.key(text, bits)
  if #text == bits // 4 and not text:find("%X") then
    return core.unhex(text)
  end
  return core.key(text, bits)
end

local function id_bits(args)
  return args.id and #args.id == 64 and 256 or 160
end

-- Opens a node that never serves, so that the overlay does not count on it.
local function open(args)
  return kad.node({
    listen = args.listen[1] and args.listen or { "0.0.0.0:0" },
    bootstrap = args.bootstrap,
    id = args.id,
    id_bits = id_bits(args),
    allow_local = args.allow_local,
    read_only = true,
  })
end

--- Calls `act(node)`, which returns the status, with a node of its own.
function M.alone(args, act)
  M.configure_log(args, "error")
  local ok, status = pcall(kad.run, function()
    local node, message = open(args)
    if not node then
      return M.failed(message)
    end
    return act(node)
  end)
  if not ok then
    return M.misused((tostring(status):gsub("^[^:]+:%d+: ", "")))
  end
  return status
end

--- Joins through --bootstrap, then calls `act(node)`.
function M.one_shot(args, act)
  if #args.bootstrap == 0 then
    return M.misused("--bootstrap HOST:PORT is needed")
  end
  return M.alone(args, function(node)
    local joined, why = node:bootstrap()
    if not joined then
      return M.failed("could not join: " .. why)
    end
    return act(node)
  end)
end

return M

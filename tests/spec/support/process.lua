--- Programs under test: started, watched and ended by the specs.
--
--     local process = require("support.process")
--     after_each(process.end_all)
--     local done = process.run({ "version" })        -- status, stdout, stderr
--     local node = process.start({ "run" })
--     node:wait_for("listening on", "stdout")
--     node:kill("sigterm")
--     assert.equal(0, node:wait())
--
-- The program is what KADENZA names, or build/kadenza. All waiting is done in
-- the event loop, for SECONDS at most.

local uv = require("luv")

local M = {}

local SECONDS <const> = 15

local Process = {}
Process.__index = Process

-- What runs now, so that a spec that fails leaves nothing behind.
local running = {}

--- Returns the path of the program.
---@return string path
function M.program()
  local path = os.getenv("KADENZA") or "build/kadenza"
  return path:sub(1, 1) == "/" and path or uv.cwd() .. "/" .. path
end

--- Returns the folder that the specs run in: the tree.
---@return string path
function M.folder()
  return uv.cwd()
end

-- The environment, without options of kadenza, and with `more`.
local function environment(more)
  more = more or {}
  local list = {}
  for name, value in pairs(uv.os_environ()) do
    if not name:find("^KADENZA") and not more[name] then
      list[#list + 1] = name .. "=" .. value
    end
  end
  for name, value in pairs(more) do
    list[#list + 1] = name .. "=" .. value
  end
  return list
end

-- A program that ends before it has read its input must not end us: caught,
-- the signal leaves us an error at the write, and the program its default.
local function catch_broken_pipes()
  local signal = uv.new_signal()
  signal:unref()
  signal:start("sigpipe", function() end)
  return signal
end

-- luv breaks when its state ends with handles that are half closed.
local function close_all(handles)
  for _, handle in ipairs(handles) do
    handle:close()
  end
  uv.run("nowait")
end

local function read_into(process, name)
  local pipe = uv.new_pipe(false)
  process.open = process.open + 1
  return pipe, function()
    pipe:read_start(function(_, data)
      if data then
        process[name] = process[name] .. data
        return
      end
      process.open = process.open - 1
      pipe:close()
    end)
  end
end

--- Starts a program.
---@param args string[]
---@param options? { path?: string, stdin?: string, open?: boolean,
---  env?: table<string, string>, folder?: string }  `stdin` is written to it;
---  its standard input is then closed, unless it is to stay open
---@return table process  with `stdout`, `stderr`, and, when it has ended,
---  `status` and `signal`
function M.start(args, options)
  options = options or {}
  local process = setmetatable({
    stdout = "", stderr = "", open = 0,
  }, Process)
  local broken_pipes = catch_broken_pipes()
  local input = uv.new_pipe(false)
  local output, read_output = read_into(process, "stdout")
  local errors, read_errors = read_into(process, "stderr")
  process.handle, process.pid = uv.spawn(options.path or M.program(), {
    args = args,
    stdio = { input, output, errors },
    env = environment(options.env),
    cwd = options.folder,
  }, function(status, signal)
    process.status, process.signal = status, signal
    process.handle:close()
    process:close_input()
    running[process] = nil
  end)
  if not process.handle then
    close_all({ broken_pipes, input, output, errors })
    error(M.program() .. ": " .. process.pid, 2)
  end
  running[process] = true
  read_output()
  read_errors()
  process.input, process.broken_pipes = input, broken_pipes
  if options.stdin then
    input:write(options.stdin)
  end
  if not options.open then
    process:close_input()
  end
  return process
end

--- Writes to its standard input.
---@param text string
function Process:write(text)
  self.input:write(text)
end

--- Closes its standard input, once what was written has arrived.
function Process:close_input()
  local input = self.input
  self.input = nil
  if input then
    input:shutdown(function() -- at once when nobody reads it any more
      input:close()
      self.broken_pipes:close()
    end)
  end
end

-- Runs the event loop until `is_done` says so; returns whether it did.
local function run_until(is_done, seconds)
  local late = false
  local timer = uv.new_timer()
  uv.update_time() -- or what was computed before would count, too
  timer:start(math.ceil(seconds * 1000), 0, function()
    late = true
  end)
  while not late and not is_done() do
    uv.run("once")
  end
  close_all({ timer })
  return is_done()
end

local function report(process, what)
  error(("%s: not in time\nstatus: %s\nstdout: %s\nstderr: %s"):format(what,
    process.status or "it runs", process.stdout, process.stderr), 3)
end

--- Waits until a stream contains a text; returns the stream so far.
---@param text string  a pattern
---@param stream "stdout"|"stderr"
---@return string output
function Process:wait_for(text, stream)
  local found = run_until(function()
    return self[stream]:find(text) or self.status
  end, SECONDS)
  if not found or not self[stream]:find(text) then
    report(self, ("'%s' on %s"):format(text, stream))
  end
  return self[stream]
end

--- Waits until it has ended and its output is read.
---@param seconds? number
---@return integer status
function Process:wait(seconds)
  local ended = run_until(function()
    return self.status and self.open == 0
  end, seconds or SECONDS)
  if not ended then
    report(self, "its end")
  end
  return self.status
end

--- Sends a signal.
---@param signal string  such as "sigterm"
function Process:kill(signal)
  self.handle:kill(signal)
end

--- Runs a program to its end.
---@param args string[]
---@param options? table  as of `start`
---@return table process
function M.run(args, options)
  local process = M.start(args, options)
  process:wait()
  return process
end

--- Starts `kadenza run` on a free loopback port; returns it when it listens.
--- Its `address` is where, its `id` in hexadecimal who.
---@param args? string[]  more arguments
---@param options? table  as of `start`
---@return table node
function M.start_node(args, options)
  local all = { "run", "--listen", "127.0.0.1:0", "--allow-local" }
  table.move(args or {}, 1, #(args or {}), #all + 1, all)
  local node = M.start(all, options)
  node.address, node.id =
    node:wait_for("id=%x+\n", "stdout"):match("listening on (%S+) id=(%x+)\n")
  return node
end

--- Ends what still runs.
function M.end_all()
  for process in pairs(running) do
    process.handle:kill("sigkill")
    process:wait()
  end
end

return M

--- Runs programs under test.
--
--     local process = require("support.process")
--     after_each(process.end_all)
--     local done = process.run({ "version" })        -- status, stdout, stderr
--     local node = process.start({ "run" })
--     node:wait_for("listening on", "stdout")
--     node:kill("sigterm")
--     assert.equal(0, node:wait())
--
-- The program is $KADENZA, or build/kadenza. All waiting is done in the event
-- loop, for at most SECONDS.

local uv = require("luv")

local M = {}

local SECONDS <const> = 15

local Process = {}
Process.__index = Process

-- Running processes; end_all ends those that a failed spec left.
local running = {}

--- Returns the path of the program.
---@return string path
function M.program()
  local path = os.getenv("KADENZA") or "build/kadenza"
  return path:sub(1, 1) == "/" and path or uv.cwd() .. "/" .. path
end

--- Returns the working folder of the specs: the root of the tree.
---@return string path
function M.folder()
  return uv.cwd()
end

-- The folder for the state of programs without --state, while there is one.
local state_home

local function make_state_home()
  if not state_home then
    state_home = os.tmpname()
    os.remove(state_home)
    assert(uv.fs_mkdir(state_home, tonumber("700", 8)))
    assert(uv.fs_chmod(state_home, tonumber("777", 8))) -- other users run, too
  end
  return state_home
end

-- Returns the environment without options of kadenza, with `more`. Programs
-- keep their state where it is removed after the spec.
local function environment(more)
  more = more or {}
  more.XDG_STATE_HOME = more.XDG_STATE_HOME or make_state_home()
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

-- A program that ends before it has read its input must not end this process.
-- The signal is caught, not ignored: then the write fails, and programs started
-- from here keep the default action.
local function catch_broken_pipes()
  local signal = uv.new_signal()
  signal:unref()
  signal:start("sigpipe", function() end)
  return signal
end

-- luv crashes if the Lua state closes while handles are closing.
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
---  env?: table<string, string>, folder?: string }  `stdin` is written to its
---  standard input, which is then closed unless `open`
---@return table process  with `stdout`, `stderr`, and, after it ended, `status`
---  and `signal`
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
    error(("%s: %s; is it installed? (make deps)"):format(
      options.path or M.program(), process.pid), 2)
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

--- Writes to the standard input.
---@param text string
function Process:write(text)
  self.input:write(text)
end

--- Closes the standard input after all writes.
function Process:close_input()
  local input = self.input
  self.input = nil
  if input then
    input:shutdown(function() -- at once if the process closed it
      input:close()
      self.broken_pipes:close()
    end)
  end
end

-- Runs the event loop until `is_done()` or the time limit; returns is_done().
local function run_until(is_done, seconds)
  local late = false
  local timer = uv.new_timer()
  uv.update_time() -- the timer must not count earlier computing
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
    process.status or "running", process.stdout, process.stderr), 3)
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

--- Waits until the process has ended and its output is read.
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

--- Runs a program until it ends.
---@param args string[]
---@param options? table  as for `start`
---@return table process
function M.run(args, options)
  local process = M.start(args, options)
  process:wait()
  return process
end

--- Starts `kadenza run` on a free loopback port; returns when it listens. The
--- process has the node's `address` and hexadecimal `id`.
---@param args? string[]  more arguments
---@param options? table  as for `start`
---@return table node
function M.start_node(args, options)
  local all = { "run", "--listen", "127.0.0.1:0", "--allow-local" }
  table.move(args or {}, 1, #(args or {}), #all + 1, all)
  local node = M.start(all, options)
  node.address, node.id =
    node:wait_for("id=%x+\n", "stdout"):match("listening on (%S+) id=(%x+)\n")
  return node
end

--- Ends all running processes.
function M.end_all()
  for process in pairs(running) do
    process.handle:kill("sigkill")
    process:wait()
  end
  if state_home then
    os.execute("rm -rf '" .. state_home .. "'")
    state_home = nil
  end
end

return M

-- Runs the examples of a document. Prints TAP.
--
--   lua5.4 tests/check/examples.lua README.md
--
-- A document is one session in a terminal: its blocks run in order, in one bash
-- and one scratch folder, so that a variable that is exported, a node that runs
-- in the background and a port that it uses are there for the blocks below,
-- until the document stops the node.
--
-- Every fenced block marked `lua` or `c` is a program that must succeed. A Lua
-- program with lines that end in `--> TEXT` must print these texts and nothing
-- else. In a block marked `sh`, each `make TARGET` must exist. A block
-- marked `console` is typed: `$ ` begins a command, and the lines below are its
-- output.
-- A command that ends in ` &` prints these lines and runs on. In output, `…`
-- matches any text within a line.
--
-- A block that has not ended after EXAMPLE_SECONDS fails; the blocks below it
-- run in a new session. A comment on the line above a fence changes all this:
--
--   <!-- example: file NAME -->    a file with this name, for later blocks
--   <!-- example: run -->          a shell script (`sh`) that must succeed
--   <!-- example: skip REASON -->  is not run
--
-- 127.0.0.1 becomes another address of the loopback network if the system has
-- several, so that two runs at once do not disturb each other.
--
-- BUILD names the folder of the build, LUA and CC the interpreter and compiler.

local EXAMPLE_SECONDS <const> =
  tonumber(os.getenv("EXAMPLE_SECONDS") or 30)

local BUILD <const> = os.getenv("BUILD") or "build"
local LUA <const> = os.getenv("LUA") or "lua5.4"
local CC <const> = os.getenv("CC") or "cc"

---@class Example
---@field language string
---@field line integer  of the opening fence
---@field verb string?  of the comment above
---@field object string?  the rest of that comment
---@field text string

---@param path string
---@return Example[]
local function read_examples(path)
  local examples, current, above, number = {}, nil, "", 0
  for line in io.lines(path) do
    number = number + 1
    local language = line:match("^```(%w*)")
    if current and language then
      current.text = table.concat(current.lines, "\n") .. "\n"
      examples[#examples + 1] = current
      current = nil
    elseif current then
      current.lines[#current.lines + 1] = line
    elseif language then
      local verb, object = above:match("^<!%-%- example: (%a+)%s*(.-) %-%->$")
      current = {
        language = language, line = number, verb = verb, object = object,
        lines = {},
      }
    end
    above = line
  end
  return examples
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

---@param command string
---@return string output
local function capture(command)
  local pipe <close> = assert(io.popen(command, "r"))
  return (pipe:read("a"):gsub("%s+$", ""))
end

local ROOT <const> = capture("pwd")

-- All of 127.0.0.0/8 is the loopback network on Linux only.
local PROCESS <const> = tonumber(capture("echo $PPID"))
local LOOPBACK <const> = capture("uname -s") ~= "Linux" and "127.0.0.1"
  or ("127.%d.%d.1"):format(PROCESS >> 8 & 127, PROCESS & 255)

local function to_own_loopback(text)
  return (text:gsub("127%.0%.0%.1%f[%D]", LOOPBACK))
end

local function to_shown_loopback(text)
  return (text:gsub(LOOPBACK:gsub("%.", "%%.") .. "%f[%D]", "127.0.0.1"))
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(to_own_loopback(text)))
end

-- Compares the printed lines with the shown ones.
---@return boolean same
---@return string? difference
local function compare(shown, printed)
  for i = 1, math.max(#shown, #printed) do
    local pattern = "^" .. (shown[i] or "(nothing)"):gsub("%p", "%%%0")
      :gsub("…", ".*") .. "$"
    if not (printed[i] and printed[i]:find(pattern)) then
      return false, ("shown:   %s\nprinted: %s"):format(shown[i] or "(nothing)",
        printed[i] or "(nothing)")
    end
  end
  return true
end

local function to_lines(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

---@class Command
---@field text string  for bash
---@field shown string[]?  its output; nil: it must succeed
---@field in_background boolean?  prints `shown`, then runs on

-- Makers of the commands of a block: function(folder, example) → list, or nil
-- and a problem.
local MAKERS <const> = {}

function MAKERS.lua(folder, example)
  write(folder .. "/example.lua", example.text)
  local shown = {}
  for text in example.text:gmatch("%-%-> ([^\n]*)") do
    shown[#shown + 1] = text
  end
  return { { text = quote(LUA) .. ' "$S/example.lua"',
    shown = #shown > 0 and shown or nil } }
end

function MAKERS.c(folder, example)
  write(folder .. "/example.c", example.text)
  local libs = capture("pkg-config --libs libuv libsodium libmd lmdb") .. " -lm"
  local build = ("%s -std=c11 -Wall -Wextra -Werror -I%s \"$S/example.c\" "
    .. "-o \"$S/example\" %s %s"):format(
    CC, quote(ROOT .. "/core"), quote(ROOT .. "/" .. BUILD .. "/libkadenza.a"),
    libs
  )
  return { { text = build }, { text = '"$S/example"' } }
end

-- Does not run the commands: one may install packages or never end.
function MAKERS.sh(folder, example)
  if example.verb == "run" then
    write(folder .. "/example.sh", example.text)
    return { { text = 'sh -e "$S/example.sh"' } }
  end
  local makefile = "\n" .. assert(io.open("Makefile")):read("a")
  for target in ("\n" .. example.text):gmatch("\n[%s$]*make ([%a-]+)") do
    if not makefile:find("\n" .. target:gsub("%-", "%%-") .. ":") then
      return nil, "no target: make " .. target
    end
  end
  return {}
end

function MAKERS.console(_, example)
  local commands = {}
  for line in example.text:gmatch("[^\n]+") do
    local text = line:match("^%$ (.*)")
    if text then
      local in_background
      text, in_background = text:gsub(" &$", "")
      commands[#commands + 1] = { text = text, shown = {},
        in_background = in_background == 1 }
    elseif commands[#commands].text:find("\\$") then
      commands[#commands].text = commands[#commands].text .. "\n" .. line
    else
      table.insert(commands[#commands].shown, line)
    end
  end
  return commands
end

-- What bash does first. `await` waits until a background command has printed.
local SESSION_HEAD <const> = [[
exec </dev/null >session.log 2>&1
S=$PWD # a command may change the folder
echo $$ >session.pid # of the group too
await() { # file, lines
  for _ in {1..100}; do
    [ "$(wc -l <"$1")" -ge "$2" ] && return
    sleep 0.1
  done
}
trap 'kill $(jobs -p); wait' EXIT
]]

---@class Session
---@field folder string
---@field bash file*  its standard input
local Session = {}
Session.__index = Session

-- Bash reads the names of files with commands from a descriptor of its own: the
-- commands themselves have no input. It leads a group of processes, with all
-- that it starts.
local function start_session(folder)
  local command = ("cd %s && PATH=%s:$PATH exec setsid bash -c %s"):format(
    quote(folder), quote(ROOT .. "/" .. BUILD),
    quote("exec 9<&0\n" .. SESSION_HEAD
      .. 'while read -r -u 9 file; do . "$S/$file" 9<&-; done'))
  local bash = assert(io.popen(command, "w"))
  return setmetatable({ folder = folder, bash = bash }, Session)
end

-- Ends the session and what runs in it; kills all of it if it hangs.
function Session:finish(hangs)
  if hangs then
    os.execute(("kill -KILL -$(cat %s)"):format(
      quote(self.folder .. "/session.pid")))
  end
  self.bash:close()
end

local function command_text(command, index)
  if command.in_background then
    return ('%s >"$S/out.%d" 2>"$S/err.%d" &\nawait "$S/out.%d" %d\n'):format(
      command.text, index, index, index, #command.shown)
  end
  return ('{ %s\n} >"$S/out.%d" 2>&1\necho $? >"$S/status.%d"\n'):format(
    command.text, index, index)
end

-- Runs commands; returns false if they have not ended in time.
function Session:run(commands)
  local script = {}
  for index, command in ipairs(commands) do
    script[index] = command_text(command, index)
  end
  local folder = quote(self.folder)
  os.execute(("cd %s && rm -f out.* err.* status.* done"):format(folder))
  write(self.folder .. "/commands.sh", table.concat(script)
    .. 'echo >"$S/done"\n')
  self.bash:write("commands.sh\n")
  self.bash:flush()
  return (os.execute(("cd %s && for i in $(seq %d); do [ -e done ] && exit; "
    .. "sleep 0.05; done; exit 1"):format(folder, EXAMPLE_SECONDS * 20)))
end

function Session:read(name)
  local file <close> = io.open(self.folder .. "/" .. name)
  return to_shown_loopback(file and file:read("a") or "")
end

-- Tells whether a command did what is shown.
---@return boolean as_shown
---@return string? difference
function Session:check(command, index)
  local output = self:read("out." .. index)
  local status = tonumber(self:read("status." .. index))
  if command.shown then
    local same, difference = compare(command.shown, to_lines(output))
    return same, not same and command.text .. "\n" .. difference
      .. "\n" .. self:read("err." .. index) or nil
  end
  return status == 0, ("%s\nexit status %s\n%s"):format(command.text,
    status or "none", output)
end

-- Runs the commands of a block in a session.
---@return boolean succeeded
---@return string? output
---@return boolean? hangs
function Session:try(commands)
  local ended = self:run(commands)
  for index, command in ipairs(commands) do
    local as_shown, output = self:check(command, index)
    if not as_shown then
      return false, output .. (ended and "" or "\nnot ended in time"), not ended
    end
  end
  return ended, not ended and "does not end" or nil, not ended
end

local function write_file(folder, example)
  write(folder .. "/" .. example.object, example.text)
  if example.language == "lua" then
    return load(example.text, "=" .. example.object, "t")
  end
  return true
end

---@return boolean? succeeded  nil when there is nothing to run
---@return string? output
---@return boolean? hangs
local function run_example(session, example)
  local maker = MAKERS[example.language]
  if example.verb == "skip" then
    return nil
  elseif example.verb == "file" then
    return write_file(session.folder, example)
  elseif not maker then
    return nil
  end
  local commands, problem = maker(session.folder, example)
  if not commands then
    return false, problem
  end
  return session:try(commands)
end

local function report(path, example, number, succeeded, output)
  print(("%s %d - %s:%d"):format(succeeded and "ok" or "not ok", number, path,
    example.line))
  if not succeeded then
    print("# " .. tostring(output):gsub("\n", "\n# "))
  end
end

local function main(path)
  local folder = ("%s/%s/shown/%s"):format(ROOT, BUILD, path:gsub("/", "_"))
  os.execute(("rm -rf %s && mkdir -p %s"):format(quote(folder), quote(folder)))
  local session = start_session(folder)
  local count, failed = 0, 0
  for _, example in ipairs(read_examples(path)) do
    local succeeded, output, hangs = run_example(session, example)
    if succeeded ~= nil or output then
      count = count + 1
      failed = failed + (succeeded and 0 or 1)
      report(path, example, count, succeeded, output)
    end
    if hangs then
      session:finish(true)
      session = start_session(folder)
    end
  end
  session:finish(false)
  print("1.." .. count)
  return failed == 0
end

os.exit(main(assert(arg[1], "usage: examples.lua DOCUMENT")))

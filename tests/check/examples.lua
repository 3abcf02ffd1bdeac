-- Runs the examples of a document. Prints TAP.
--
--   lua5.4 tests/check/examples.lua README.md
--
-- Every fenced block marked `lua` or `c` is a program that must succeed within
-- EXAMPLE_SECONDS. A Lua program with lines that end in `--> TEXT` must print
-- these texts and nothing else. In a block marked `sh`, each `make TARGET` must
-- exist. A block marked `console` is a session: `$ ` begins a command, and the
-- lines below are its output. A command that ends in ` &` prints these lines
-- and runs until the session ends. In output, `…` matches any text within a
-- line.
--
-- The blocks of a document run in order, in one scratch folder. A comment on
-- the line above a fence changes this:
--
--   <!-- example: file NAME -->    a file with this name, for later blocks
--   <!-- example: run -->          a shell script (`sh`) that must succeed
--   <!-- example: skip REASON -->  is not run
--
-- 127.0.0.1 becomes another address of the loopback network if the system has
-- several, so that two runs at once do not disturb each other.
--
-- BUILD names the folder of the build, LUA and CC the interpreter and compiler.

local EXAMPLE_SECONDS <const> = 30

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

---Runs a command in a folder.
---@return boolean succeeded
---@return string output
local function run(folder, command)
  local path = ("PATH=%s:$PATH"):format(quote(ROOT .. "/" .. BUILD))
  local whole = ("cd %s && %s timeout %d %s </dev/null 2>&1; echo $?"):format(
    quote(folder), path, EXAMPLE_SECONDS, command
  )
  local output, status = capture(whole):match("^(.-)\n?(%d+)$")
  return status == "0", to_shown_loopback(output)
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

local RUNNERS <const> = {} -- language: function(folder, example)

function RUNNERS.lua(folder, example)
  write(folder .. "/example.lua", example.text)
  local succeeded, output = run(folder, LUA .. " example.lua")
  local shown = {}
  for text in example.text:gmatch("%-%-> ([^\n]*)") do
    shown[#shown + 1] = text
  end
  if succeeded and #shown > 0 then
    return compare(shown, to_lines(output))
  end
  return succeeded, output
end

function RUNNERS.c(folder, example)
  write(folder .. "/example.c", example.text)
  local libs = capture("pkg-config --libs libuv libsodium")
  local build = ("%s -std=c11 -Wall -Wextra -Werror -I%s example.c -o example "
    .. "%s %s"):format(
    CC, quote(ROOT .. "/core"), quote(ROOT .. "/" .. BUILD .. "/libkadenza.a"),
    libs
  )
  local succeeded, output = run(folder, build)
  if succeeded then
    return run(folder, "./example")
  end
  return succeeded, output
end

-- Does not run the commands: one may install packages or never end.
function RUNNERS.sh(folder, example)
  if example.verb == "run" then
    write(folder .. "/example.sh", example.text)
    return run(folder, "sh -e example.sh")
  end
  local makefile = "\n" .. assert(io.open("Makefile")):read("a")
  for target in ("\n" .. example.text):gmatch("\n[%s$]*make ([%a-]+)") do
    if not makefile:find("\n" .. target:gsub("%-", "%%-") .. ":") then
      return false, "no target: make " .. target
    end
  end
  return true, ""
end

-- The head of a session's script, which ends background commands at its end.
local SESSION_HEAD <const> = [[
exec 2>&1
rm -f out.* err.*
running=
trap 'kill $running 2>/dev/null; wait' EXIT
await() { # file, lines
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ "$(wc -l <"$1")" -ge "$2" ] && return
    sleep 0.1
  done
}
]]

local function session_step(step, index)
  local command, in_background = step.command:gsub(" &$", "")
  if in_background == 0 then
    return ("{ %s\n} >out.%d 2>&1\n"):format(command, index)
  end
  return ("%s >out.%d 2>err.%d &\nrunning=\"$running $!\"\nawait out.%d %d\n")
    :format(command, index, index, index, #step.shown)
end

---@return table[] steps  commands and their shown output
local function read_session(text)
  local steps = {}
  for line in text:gmatch("[^\n]+") do
    local command = line:match("^%$ (.*)")
    if command then
      steps[#steps + 1] = { command = command, shown = {} }
    else
      table.insert(assert(steps[1] and steps[#steps].shown, line), line)
    end
  end
  return steps
end

function RUNNERS.console(folder, example)
  local steps = read_session(example.text)
  local script = SESSION_HEAD
  for index, step in ipairs(steps) do
    script = script .. session_step(step, index)
  end
  write(folder .. "/session.sh", script)
  local ended, output = run(folder, "sh session.sh")
  if not ended then
    return false, output
  end
  for index, step in ipairs(steps) do
    local file <close> = assert(io.open(folder .. "/out." .. index))
    local same, difference =
      compare(step.shown, to_lines(to_shown_loopback(file:read("a"))))
    if not same then
      return false, step.command .. "\n" .. difference
    end
  end
  return true, ""
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
local function run_example(folder, example)
  if example.verb == "skip" then
    return nil
  elseif example.verb == "file" then
    return write_file(folder, example)
  end
  local runner = RUNNERS[example.language]
  if runner then
    return runner(folder, example)
  end
  return nil
end

local function main(path)
  local folder = ("%s/%s/shown/%s"):format(ROOT, BUILD, path:gsub("/", "_"))
  os.execute(("rm -rf %s && mkdir -p %s"):format(quote(folder), quote(folder)))
  local count, failed = 0, 0
  for _, example in ipairs(read_examples(path)) do
    local succeeded, output = run_example(folder, example)
    if succeeded ~= nil or output then
      count = count + 1
      failed = failed + (succeeded and 0 or 1)
      print(("%s %d - %s:%d"):format(
        succeeded and "ok" or "not ok", count, path, example.line
      ))
    end
    if not succeeded and output then
      print("# " .. output:gsub("\n", "\n# "))
    end
  end
  print("1.." .. count)
  return failed == 0
end

os.exit(main(assert(arg[1], "usage: examples.lua DOCUMENT")))

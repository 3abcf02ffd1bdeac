-- Runs the examples of a document, so that what it shows works. Prints TAP.
--
--   lua5.4 tests/check/examples.lua README.md
--
-- Every fenced block marked `lua` or `c` is a program that must end well within
-- EXAMPLE_SECONDS; in a block marked `sh`, every `make TARGET` must exist. All
-- blocks of a document share one scratch folder, in which they run in order. A
-- comment on the line above a fence asks for something else:
--
--   <!-- example: file NAME -->    a file of that name, for those that follow
--   <!-- example: run -->          a shell script (`sh`) that must end well
--   <!-- example: skip REASON -->  only shown
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

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

---Runs `command` in `folder`; its output is shown only when it fails.
---@return boolean succeeded
---@return string output
local function run(folder, command)
  local path = ("PATH=%s:$PATH"):format(quote(ROOT .. "/" .. BUILD))
  local whole = ("cd %s && %s timeout %d %s </dev/null 2>&1; echo $?"):format(
    quote(folder), path, EXAMPLE_SECONDS, command
  )
  local output, status = capture(whole):match("^(.-)\n?(%d+)$")
  return status == "0", output
end

local RUNNERS <const> = {} -- language: function(folder, example)

function RUNNERS.lua(folder, example)
  write(folder .. "/example.lua", example.text)
  return run(folder, LUA .. " example.lua")
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

-- Shown commands are not run: one may install packages or never end.
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

local function write_file(folder, example)
  write(folder .. "/" .. example.object, example.text)
  if example.language == "lua" then
    return load(example.text, "=" .. example.object, "t")
  end
  return true
end

---@return boolean? succeeded  nil when there is nothing to run
---@return string? output
local function try(folder, example)
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
    local succeeded, output = try(folder, example)
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

-- Writes Lua sources into a C file: the program has its scripts built in.
--
--   lua5.4 bindings/host/embed.lua OUTPUT.c SOURCE...
--
-- A source is a path below scripts/, or the name of an installed module:
--
--   scripts/kadenza/init.lua      is called  kadenza
--   scripts/kadenza/task.lua                 kadenza.task
--   scripts/policies/counter.lua             policies/counter.lua
--   scripts/scenarios/churn.lua              scenarios/churn.lua
--   argparse                                 argparse
--   web/page.html=build/gen/page.html        web/page.html
--
-- The last form is for a file that is no script. Embeds the text of scripts,
-- not bytecode: messages name lines, and every Lua 5.4 can load it. scripts.h
-- declares the array that the C file defines.

local BYTES_A_LINE <const> = 16

---@param source string
---@return string name  in the program
---@return string path
---@return boolean? is_text  it is no script
local function locate(source)
  local given, file = source:match("^(.-)=(.+)$")
  if given then
    return given, file, true
  end
  if not source:find("[/.]") then
    return source, assert(package.searchpath(source, package.path))
  end
  local inside = source:match("^scripts/(.*)%.lua$")
  if not inside then
    error("not a script below scripts/: " .. source, 0)
  end
  if inside:find("^policies/") or inside:find("^scenarios/") then
    return inside .. ".lua", source
  end
  return (inside:gsub("/init$", ""):gsub("/", ".")), source
end

---@param path string
---@return string text
local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return assert(file:read("a"))
end

---@param text string
---@return string initializer  the bytes in decimal, then a NUL
local function to_initializer(text)
  local lines = {}
  for first = 1, #text, BYTES_A_LINE do
    local bytes = { text:byte(first, first + BYTES_A_LINE - 1) }
    lines[#lines + 1] = "  " .. table.concat(bytes, ", ") .. ","
  end
  lines[#lines + 1] = "  0,"
  return table.concat(lines, "\n")
end

---@param sources string[]
---@return string c
local function generate(sources)
  local arrays, entries = {}, {}
  for i, source in ipairs(sources) do
    local name, path, is_text = locate(source)
    local text = read(path)
    assert(is_text or load(text, "@" .. path, "t"))
    arrays[i] = ("static const unsigned char script_%d[] = {\n%s\n};\n"):format(
      i, to_initializer(text)
    )
    entries[i] = ('  {"%s", (const char *)script_%d, %d},'):format(
      name, i, #text
    )
  end
  return table.concat({
    '#include "scripts.h"\n',
    table.concat(arrays, "\n"),
    "const struct kad_script kad_scripts[] = {",
    table.concat(entries, "\n"),
    "  {0},",
    "};\n",
  }, "\n")
end

---@param output string
---@param sources string[]
local function main(output, sources)
  local text = generate(sources)
  local file <close> = assert(io.open(output, "wb"))
  assert(file:write(text))
end

local output = assert(arg[1], "usage: embed.lua OUTPUT.c SOURCE...")
main(output, table.move(arg, 2, #arg, 1, {}))

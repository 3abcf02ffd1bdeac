-- Checks the includes of core, and that the engine stays sans-I/O:
--
-- * A room includes its own headers and those of lower rooms (room_order.lua).
-- * Core includes no header of Lua.
-- * Outside of core/net nothing reaches a socket, a clock, a thread or a random
--   device. Memory comes from kad_allocator.
--
-- Calls between rooms are the subject of calls.lua.

local rooms = require("tests.check.room_order")
local tree = require("tests.check.tree")

-- The struct of the node has parts of all rooms from engine to node, so this
-- header includes headers of rooms above its own.
local SHARED <const> = "core/engine/node.h"

-- Headers that the engine must not know; core/net may.
local OUTSIDE_HEADERS <const> = {
  "^uv%.h$", "^uv/", "^time%.h$", "^unistd%.h$", "^pthread%.h$", "^poll%.h$",
  "^netdb%.h$", "^fcntl%.h$", "^threads%.h$", "^sys/", "^netinet/", "^arpa/",
  "^net/",
}

local LUA_HEADERS <const> = { "^lua", "^lauxlib%.h$", "^lualib%.h$" }

local OUTSIDE_CALLS <const> = {
  "time", "clock", "clock_gettime", "gettimeofday", "localtime", "gmtime",
  "rand", "srand", "random", "srandom", "getrandom", "getentropy", "arc4random",
  "randombytes_buf", "randombytes_random", "randombytes_uniform",
  "socket", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg",
  "sleep", "usleep", "nanosleep", "getenv", "printf", "abort", "exit",
}

local MEMORY_CALLS <const> = {
  "malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup",
  "alloca", "asprintf",
}

local ALLOCATOR <const> = "core/base/allocator.c"

local problems = {}

local function report(path, number, ...)
  problems[#problems + 1] = ("%s:%d: %s"):format(path, number,
    string.format(...))
end

local function matches_any(text, patterns)
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then
      return true
    end
  end
  return false
end

---@return string? path  of a quoted header, seen from `path`
local function resolve(path, header)
  local beside = path:gsub("[^/]*$", "") .. header
  for _, candidate in ipairs({ "core/" .. header, beside }) do
    if tree.read(candidate) then
      return candidate
    end
  end
  return nil
end

local function check_direction(path, number, header)
  local target = resolve(path, header)
  if not target then
    return report(path, number, "no header '%s' in core", header)
  end
  local from, to = rooms.of(path), rooms.of(target)
  if from and to and path ~= SHARED and not rooms.may_use(from, to) then
    report(path, number, "%s must not include %s of %s", from, header, to)
  end
end

local function check_system_header(path, number, header)
  if matches_any(header, LUA_HEADERS) then
    report(path, number, "core knows nothing of Lua: <%s>", header)
  elseif not path:find("^core/net/")
    and matches_any(header, OUTSIDE_HEADERS)
  then
    report(path, number, "only core/net sees the outside: <%s>", header)
  end
end

-- Calls by plain name: neither a field's (`a->free(`) nor a longer word.
local function check_calls(path, number, line, names, why)
  for _, name in ipairs(names) do
    local first = (" " .. line):find("[^%w_.>]" .. name .. "%s*%(")
    if first then
      report(path, number, "%s: %s()", why, name)
    end
  end
end

local function check_core_line(path, number, line)
  local quoted = line:match('^%s*#%s*include%s*"([^"]+)"')
  if quoted then
    check_direction(path, number, quoted)
  end
  local system = line:match("^%s*#%s*include%s*<([^>]+)>")
  if system then
    check_system_header(path, number, system)
  end
  if not path:find("^core/net/") then
    check_calls(path, number, line, OUTSIDE_CALLS, "only core/net may call")
  end
end

local function check_memory(path, number, line)
  if path ~= ALLOCATOR then
    check_calls(path, number, line, MEMORY_CALLS, "take kad_allocator, not")
  end
end

local function check_core()
  for _, path in ipairs(tree.files({ "core" }, "[ch]")) do
    local room = rooms.of(path)
    if room and not rooms.is_known(room) then
      report(path, 1, "'%s' is not a room of core", room)
    end
    for number, line in ipairs(tree.code(path)) do
      check_core_line(path, number, line)
      check_memory(path, number, line)
    end
  end
end

-- The policy host uses the module. Of the module only the file that puts its
-- functions together uses the policy host.
local MODULE <const> = "bindings/lua/module.c"

-- One file of the bindings, the loop's, may see libuv.
local function check_bindings()
  local loop_file
  for _, path in ipairs(tree.files({ "bindings" }, "[ch]")) do
    for number, line in ipairs(tree.code(path)) do
      check_memory(path, number, line)
      if line:find("^%s*#%s*include%s*<uv[./]") then
        if loop_file and loop_file ~= path then
          report(path, number, "uv.h is included by %s already", loop_file)
        end
        loop_file = path
      end
      if path:find("^bindings/lua/") and path ~= MODULE
        and line:find('^%s*#%s*include%s*"policy/')
      then
        report(path, number, "bindings/lua must not use bindings/policy")
      end
    end
  end
end

check_core()
check_bindings()
return problems

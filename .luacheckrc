-- kadenza's Lua checks: `luacheck .` at the root must print no warnings.
std = "lua54"
codes = true
cache = false

include_files = {
  "**/*.lua", "*.rockspec", ".luacheckrc",
}
exclude_files = { "build" }

max_code_line_length = 80
max_comment_line_length = 80
max_string_line_length = 100
max_cyclomatic_complexity = 10
self = false -- methods keep one calling shape, used or not

-- What a policy may see. tests/spec/sandbox_spec.lua checks that this list and
-- the sandbox's allow-list are the same list.
stds.kadenza_policy = {
  globals = {},
  read_globals = {
    "assert", "error", "ipairs", "next", "pairs", "pcall", "require",
    "select", "setmetatable", "tonumber", "tostring", "type",
    coroutine = { fields = {
      "close", "create", "isyieldable", "resume", "running", "status", "wrap",
      "yield",
    } },
    math = { fields = {
      "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor",
      "fmod", "huge", "log", "max", "maxinteger", "min", "mininteger", "modf",
      "pi", "rad", "random", "sin", "sqrt", "tan", "tointeger", "type", "ult",
    } },
    string = { fields = {
      "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower",
      "match", "pack", "packsize", "rep", "reverse", "sub", "unpack", "upper",
    } },
    table = { fields = {
      "concat", "insert", "move", "pack", "remove", "sort", "unpack",
    } },
  },
}

files["scripts/kadenza/check.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/blob"] = { std = "kadenza_policy" }
files["scripts/kadenza/blob.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/crdt.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/crdt/kind.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/lease.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/limit.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/pubsub"] = { std = "kadenza_policy" }
files["scripts/kadenza/pubsub.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/signed.lua"] = { std = "kadenza_policy" }
files["scripts/kadenza/zbase32.lua"] = { std = "kadenza_policy" }
files["scripts/policies"] = { std = "kadenza_policy" }
files["bench/policies"] = { std = "kadenza_policy" }
files["scripts/examples/**/policies"] = { std = "kadenza_policy" }

-- Language servers read a type to the end of its line and no further.
files["scripts/kadenza/policy/types.lua"] = { max_comment_line_length = false }

-- A spec lies beside what it tests, and sees everything.
local spec = { std = "lua54+busted", max_cyclomatic_complexity = false }
files["tests/spec"] = spec
files["scripts/kadenza/**/*_spec.lua"] = spec
files["scripts/policies/**/*_spec.lua"] = spec
files["scripts/examples/**/*_spec.lua"] = spec

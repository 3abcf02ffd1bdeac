-- Checks that files and identifiers that the documents name exist in the tree:
-- `core/base`, `kad_node_put`, `KAD_EINVAL`, the target of `make fuzz`, and a
-- text in a file: `core/node/reply.h:KAD_AMPLIFICATION_MAX`. In the page
-- on security every word is one of the sources. The change log also has
-- old names, and the reference is generated.

local tree = require("tests.check.tree")

local FOLDERS <const> = { core = true, bindings = true, scripts = true,
  tests = true, bench = true, docs = true }

local problems = {}

-- A folder can be opened, too.
local function exists(path)
  local file <close> = io.open(path, "rb")
  return file ~= nil
end

---@return table<string, boolean> identifiers  those of the C sources
local function read_identifiers()
  local identifiers = {}
  for _, path in ipairs(tree.files({ "core", "bindings" }, "[ch]")) do
    for name in tree.read(path):gmatch("%f[%w_][kK][aA][dD]_[%w_]+") do
      identifiers[name] = true
    end
  end
  return identifiers
end

local IDENTIFIERS <const> = read_identifiers()

-- Every word of the sources: names of options, counters and functions.
---@return table<string, boolean> words
local function read_words()
  local words = {}
  for _, path in ipairs(tree.files({ "core", "bindings", "scripts" },
    "%l+")) do
    for word in tree.read(path):gmatch("[%w_]+") do
      words[word] = true
    end
  end
  return words
end

-- The documents that name no word that is not in the sources.
local STRICT <const> = { ["docs/security.md"] = read_words() }
local MAKEFILE <const> = "\n" .. tree.read("Makefile")

-- "path:text" stands for a text in a file.
---@return boolean? is_known  nil for another span
local function is_known_place(span)
  local path, text = span:match("^(%l+/[%w_/.-]+):(%S.*)$")
  if not path or not FOLDERS[path:match("^%l+")] then
    return nil
  end
  return exists(path) and tree.read(path):find(text, 1, true) ~= nil
end

-- NAME stands for a part of a path, and "kad_sim_" for names that begin so.
local function is_known(span, words)
  if FOLDERS[span:match("^(%l+)/[%w_/.-]+$")] then
    return span:find("NAME") or exists(span)
  elseif is_known_place(span) ~= nil then
    return is_known_place(span)
  elseif span:find("^make [%l-]+$") then
    return MAKEFILE:find("\n" .. span:sub(6) .. ":", 1, true)
  elseif words and span:find("^[%w_]+$") then
    return words[span]
  end
  local name = span:match("^[%l ]-(%f[%w][kK][aA][dD]_[%w_]+)[%(%)]*$")
  return not name or name:find("_$") or IDENTIFIERS[name]
end

local paths = tree.run("ls README.md CONTRIBUTING.md docs/*.md 2>/dev/null")
for _, path in ipairs(paths) do
  local is_code = false
  for number, line in ipairs(tree.lines(path)) do
    is_code = is_code ~= (line:find("^```") ~= nil)
    for span in (is_code and "" or line):gmatch("`([^`]+)`") do
      if not is_known(span, STRICT[path]) then
        problems[#problems + 1] = ("%s:%d: there is no %s"):format(path, number,
          span)
      end
    end
  end
end

return problems

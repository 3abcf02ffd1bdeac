-- Checks that lists of errors in the comments of headers are lists: a formatter
-- that reflows comments may run the lines together. The form of a list is
--
--   * Returns 0, or
--   *   KAD_EOWNID           `contact` carries our own id
--   *   KAD_ETYPE, KAD_EFULL
--   *                        the node cannot store it
--
-- that is, two spaces, the error or the errors with this meaning, two spaces or
-- more, the meaning. Lines that continue it are indented. In a sentence, an
-- error follows a punctuation mark or one of the words below; after any other
-- word it is an item of a list that ran together.

local tree = require("tests.check.tree")

-- Words before an error in a sentence.
local LINKS <const> = {
  an = true, ["and"] = true, by = true, ["else"] = true, ["or"] = true,
  returns = true, ["return"] = true, status = true, with = true,
}

local problems = {}

---@return table<string, boolean> errors  by name
local function read_errors()
  local errors = {}
  for name in tree.read("core/kadenza.h"):gmatch("X%((KAD_E%u+), %-") do
    errors[name] = true
  end
  return errors
end

local ERRORS <const> = read_errors()

-- Removes the errors at the beginning of a line of a list.
---@param text string  a line of a comment, without its star
---@return string rest
local function remove_item(text)
  local item, rest = text:match("^   (KAD_E[%u, _KAD]*)(.*)$")
  local is_item = item and (rest == "" or item:find("  $"))
  return is_item and rest or text
end

-- Finds an error that follows neither punctuation nor a linking word, or that
-- has the spaces of an item behind it.
---@param before string  the line before
---@param text string  a line of a comment
---@return string? name
local function find_stray(before, text)
  local whole = before .. " " .. text
  for at, name, spaces in whole:gmatch("()%f[%w_](KAD_E%u+)%f[^%w_]( *)") do
    local word = whole:sub(1, at - 1):match("([%w_]+) *$")
    local is_here = at > #before
    local is_stray = word and not LINKS[word:lower()] and word ~= "0"
    if is_here and ERRORS[name] and (is_stray or #spaces > 1) then
      return name
    end
  end
  return nil
end

for _, path in ipairs(tree.files({ "core" }, "h")) do
  local before = ""
  for number, line in ipairs(tree.lines(path)) do
    local comment = line:gsub("^%s*/?%*%f[%s]", ""):gsub(" *%*/.*", "")
    local text = remove_item(comment)
    local name = find_stray(before, text)
    if name then
      problems[#problems + 1] = ("%s:%d: no list and no sentence: %s"):format(
        path, number, name)
    end
    before = text
  end
end
return problems

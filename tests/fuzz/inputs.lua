-- Prepares what a fuzz target begins with, from the sources and the vectors.
--
--   lua5.4 tests/fuzz/inputs.lua NAME FOLDER
--
-- Writes FOLDER/NAME.dict, the words of the language that the target reads, for
-- libFuzzer's -dict; and FOLDER/vectors/NAME, the datagrams of docs/vectors,
-- for the targets that read datagrams. Other targets get a dictionary without
-- words.

package.path = "./?.lua;" .. package.path

local tree = require("tests.check.tree")

local BENCODE <const> = {
  "d", "l", "i", "e", "de", "le", "i0e", "i1e", "i-1e", "0:", "20:", "32:",
  "i4294967295e", "i4294967296e", "i9223372036854775807e",
  "i-9223372036854775808e",
}

-- The words of the other languages, by target.
local WORDS <const> = {
  address = { "::", ":", ".", "[", "]:", "/24", "/64", "-", "%", "::ffff:",
    "127.0.0.1", "2001:db8::", "65535", "0" },
  matcher = { "%", "[", "]", "[^", "(", ")", "()", "*", "+", "-", "?", "^", "$",
    "%b()", "%f[%w]", "%1", "%d", "%a", "%s", "." },
}

-- Returns the strings that `pattern` finds in the file `path`.
local function find(path, pattern)
  local found = {}
  for word in assert(tree.read(path)):gmatch(pattern) do
    found[#found + 1] = word
  end
  assert(#found > 0, path)
  return found
end

-- Returns the words of KRPC: bencoded keys and names of queries.
local function krpc_words()
  local words = { table.unpack(BENCODE) }
  local keys = find("core/wire/krpc_fields.h", 'X%(KAD_KEY_[%w_]+, "([^"]+)"%)')
  local methods = find("core/wire/message.c",
    'NAME%(KAD_METHOD_[%w_]+, "([^"]+)"%)')
  for _, list in ipairs({ keys, methods }) do
    for _, word in ipairs(list) do
      words[#words + 1] = ("%d:%s"):format(#word, word)
    end
  end
  table.move({ "1:y1:q", "1:y1:r", "1:y1:e", "1:t2:aa", "2:n4", "2:n6" }, 1, 6,
    #words + 1, words)
  return words
end

local function words_of(name)
  if name == "krpc" then
    return krpc_words()
  end
  return name == "bencode" and BENCODE or WORDS[name] or {}
end

local function write(path, bytes)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
end

local function write_dictionary(name, path)
  local lines = { "# words of the target " .. name .. "\n" }
  for _, word in ipairs(words_of(name)) do
    lines[#lines + 1] = '"' .. word:gsub('[\\"]', "\\%0") .. '"\n'
  end
  write(path, table.concat(lines))
end

-- Writes the datagrams in the column `column` of a file of vectors.
local function write_vectors(file, column, folder)
  local number = 0
  for line in io.lines("docs/vectors/" .. file) do
    local columns = {}
    for text in (line .. "\t"):gmatch("(.-)\t") do
      columns[#columns + 1] = text
    end
    if line:sub(1, 1) ~= "#" then
      number = number + 1
      local bytes = columns[column]:gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
      end)
      write(("%s/%s-%d"):format(folder, file:match("^%w+"), number), bytes)
    end
  end
  assert(number > 0, file)
end

local name, folder = arg[1], arg[2]
write_dictionary(name, ("%s/%s.dict"):format(folder, name))
if name == "krpc" or name == "bencode" then
  local vectors = ("%s/vectors/%s"):format(folder, name)
  assert(os.execute(("mkdir -p '%s'"):format(vectors)))
  write_vectors("messages.tsv", 3, vectors)
  write_vectors("malformed.tsv", 2, vectors)
end

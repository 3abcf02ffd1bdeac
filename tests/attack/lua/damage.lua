--- Ways to damage a file of a folder. Each function takes dice, the folder and
--- the name of a file.

local core = require("kadenza.core")

local M = {}

-- Returns the bytes of a regular file, or nil.
function M.read(path)
  return core.read_saved(path, 1 << 30) or nil
end

function M.write(path, bytes)
  local file <close> = io.open(path, "wb")
  if file then
    file:write(bytes)
  end
end

--- Runs a command; "%s" in it are the words that follow.
function M.execute(command, ...)
  local words = table.pack(...)
  for i, word in ipairs(words) do
    words[i] = "'" .. word:gsub("'", "'\\''") .. "'"
  end
  os.execute(command:format(table.unpack(words)) .. " 2>/dev/null")
end

local NUMBERS <const> = { 0, -1, 1, 2, 3, 1 << 31, 1 << 32, 1 << 53,
  math.maxinteger, math.mininteger }

local TEXTS <const> = { "", "x", ("x"):rep(20), ("y"):rep(32), ("z"):rep(1001),
  "0.0.0.0:0", "127.0.0.1:1", "\0", ("long "):rep(20000) }

local replace

-- Replaces something in a decoded value by a value of the same or another type.
local function replace_item(dice, table_)
  local keys = {}
  for key in pairs(table_) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  if keys[1] then
    local key = dice:pick(keys)
    table_[key] = replace(dice, table_[key])
  end
  return table_
end

function replace(dice, value)
  if type(value) == "table" and not dice:one_in(4) then
    return replace_item(dice, value)
  elseif dice:one_in(3) then
    return dice:pick({ {}, { "list" }, { a = "b" }, 1, "text" })
  elseif type(value) == "number" then
    return dice:pick(NUMBERS)
  elseif dice:one_in(2) then
    return dice:pick(TEXTS)
  end
  return tostring(value):sub(1, dice:below(30)) .. dice:bytes(dice:below(30))
end

-- Changes the bytes of a file with `change(dice, bytes)`.
local function change(fn)
  return function(dice, folder, name)
    local path = folder .. "/" .. name
    local bytes = M.read(path)
    if bytes then
      M.write(path, fn(dice, bytes))
    end
  end
end

local function flip(dice, bytes)
  for _ = 1, 1 + dice:below(4) do
    local at = 1 + dice:below(#bytes + 1)
    bytes = bytes:sub(1, at - 1) .. dice:bytes(1) .. bytes:sub(at + 1)
  end
  return bytes
end

-- Changes the structure: what is written is bencode.
local function restructure(dice, bytes)
  local value = core.decode(bytes)
  if type(value) ~= "table" then
    return bytes .. "e"
  end
  for _ = 1, 1 + dice:below(3) do
    replace_item(dice, value)
  end
  local encoded, text = pcall(core.encode, value)
  return encoded and text or bytes
end

local function in_place(command)
  return function(_, folder, name)
    local path = folder .. "/" .. name
    M.execute("rm -rf %s; " .. command, path, path)
  end
end

--- The ways.
M.WAYS = {
  change(function(dice, bytes)
    return bytes:sub(1, dice:below(#bytes + 1))
  end),
  change(flip),
  change(flip),
  change(restructure),
  change(restructure),
  change(restructure),
  change(function(dice)
    return dice:bytes(dice:below(400))
  end),
  change(function(dice, bytes)
    local at = dice:below(#bytes + 1)
    return bytes:sub(1, at) .. dice:bytes(dice:below(40)) .. bytes:sub(at)
  end),
  change(function(dice)
    return dice:pick({ "l", "d", "i1", "le", "de" }):rep(1 << dice:below(18))
  end),
  change(function(_, bytes)
    return bytes:gsub("7:versioni1e", "7:versioni2e")
  end),
  in_place("mkdir %s"),
  in_place("mkfifo %s"),
  in_place("ln -s nowhere %s"),
  in_place("ln -s . %s"),
  in_place("ln -s /dev/zero %s"),
  in_place("ln -s /dev/null %s"),
  in_place("true %s"),
  function(_, folder, name) -- a link to itself
    M.execute("rm -rf %s; ln -s %s %s", folder .. "/" .. name, name,
      folder .. "/" .. name)
  end,
  function(_, folder, name) -- a link to the whole file
    local path = folder .. "/" .. name
    M.execute("mv %s %s && ln -s %s %s", path, path .. ".there",
      name .. ".there", path)
  end,
  function(dice, folder, name) -- too large
    M.execute("truncate -s %s %s", dice:pick({ "4194304", "4194305", "5M",
      "65M" }), folder .. "/" .. name)
  end,
  function(dice, folder, name) -- what is set aside has no place
    M.execute(dice:pick({ "mkdir %s; touch %s/x", "mkfifo %s; true %s",
      "ln -s nowhere %s; true %s" }), folder .. "/" .. name .. ".corrupt",
      folder .. "/" .. name .. ".corrupt")
  end,
  function(dice, folder, name) -- what is being written has no place
    M.execute(dice:pick({ "mkdir %s", "mkfifo %s", "ln -s /dev/full %s" }),
      folder .. "/" .. name .. ".new")
  end,
  function(dice, folder) -- the folder
    M.execute(dice:pick({ "chmod 500 %s", "rm -rf %s; true",
      "cp -r %s /tmp/x.$$ && rm -rf /tmp/x.$$" }), folder)
  end,
}

return M

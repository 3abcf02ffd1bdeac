--- A record store in an SQLite database (see docs/libraries.md), which
--- survives a restart. Requires luasql (Debian: lua-sql-sqlite3).
--
--     local sqlite_store = require("sqlite_store")
--     local node = assert(kad.node {
--       store = assert(sqlite_store.open("records.db")),
--     })
--
-- The changes of a turn of the node share a transaction. When `commit` returns
-- they are in the database's log, and survive the end of the process, however
-- that comes. With `synchronous` NORMAL, a power
-- failure may lose the latest changes, not the database; FULL loses nothing,
-- and takes one write to the disk for each turn.

local luasql = require("luasql.sqlite3")

local M = {}

local VERSION <const> = 1

local Store = {}
Store.__index = Store

local SCHEMA <const> = [[
CREATE TABLE IF NOT EXISTS records (
  number INTEGER PRIMARY KEY,
  key BLOB NOT NULL, type BLOB NOT NULL, value BLOB NOT NULL,
  publisher BLOB, signature BLOB, salt BLOB, seq INTEGER,
  stored_at REAL NOT NULL, expires_at REAL NOT NULL, republish_at REAL,
  origin TEXT, seed INTEGER
)]]

-- The columns, with what turns a value into SQL and back. luasql ends a blob at
-- a zero byte and makes floats of integers, so it is given and asked for text.
local BYTES <const> = {
  select = "hex(%s)",
  quote = function(bytes)
    return "X'" .. bytes:gsub(".", function(byte)
      return ("%02X"):format(byte:byte())
    end) .. "'"
  end,
  read = function(text)
    return (text:gsub("%x%x", function(digits)
      return string.char(tonumber(digits, 16))
    end))
  end,
}
local INTEGER <const> = {
  select = "CAST(%s AS TEXT)",
  quote = function(integer)
    return integer == math.mininteger and "-9223372036854775807 - 1"
      or ("%d"):format(integer)
  end,
  read = math.tointeger,
}
local SECONDS <const> = {
  select = "CAST(%s AS TEXT)",
  quote = function(seconds)
    return ("%.3f"):format(seconds)
  end,
  read = tonumber,
}
local FLAG <const> = {
  select = "CAST(%s AS TEXT)",
  quote = function()
    return "1"
  end,
  read = function()
    return true
  end,
}
local COLUMNS <const> = {
  { "key", BYTES }, { "type", BYTES }, { "value", BYTES },
  { "publisher", BYTES }, { "signature", BYTES }, { "salt", BYTES },
  { "seq", INTEGER },
  { "stored_at", SECONDS }, { "expires_at", SECONDS },
  { "republish_at", SECONDS }, { "origin", BYTES }, { "seed", FLAG },
}
local TIMES <const> =
  { "stored_at", "expires_at", "republish_at", "origin", "seed" }

local KINDS <const>, NAMES <const>, SELECTED <const> = {}, {}, {}
for i, column in ipairs(COLUMNS) do
  local name, kind = table.unpack(column)
  KINDS[name], NAMES[i] = kind, name
  SELECTED[i] = ("CASE WHEN %s IS NOT NULL THEN %s END"):format(name,
    kind.select:format(name))
end

local SELECT <const> = "SELECT CAST(number AS TEXT), "
  .. table.concat(SELECTED, ", ") .. " FROM records"
local PUT <const> = ("INSERT OR REPLACE INTO records (number, %s) VALUES ")
  :format(table.concat(NAMES, ", "))

local function quote(name, value)
  return value == nil and "NULL" or KINDS[name].quote(value)
end

-- Returns the number and the record of a row, a list.
local function read_row(row)
  local record = {}
  for i, name in ipairs(NAMES) do
    local text = row[i + 1]
    record[name] = text and KINDS[name].read(text)
  end
  return math.tointeger(row[1]), record
end

-- Executes a statement; of one that has rows, returns the cursor.
local function execute(self, sql)
  local result, message = self.connection:execute(sql)
  return result, result == nil and (message or "SQLite failed") or nil
end

-- Executes a change, in the transaction of this turn.
local function change(self, sql)
  if not self.is_changing then
    local begun, message = execute(self, "BEGIN IMMEDIATE")
    if not begun then
      return nil, message
    end
    self.is_changing = true
  end
  return execute(self, sql)
end

-- Executes a query, and returns its first row, a list; false if it has none.
local function fetch_one(self, sql)
  local cursor, message = execute(self, sql)
  if not cursor then
    return nil, message
  end
  local row = cursor:fetch({}, "n") -- the end closes the cursor
  if row then
    cursor:close()
  end
  return row or false
end

function Store:put(number, record)
  local values = { ("%d"):format(number) }
  for i, name in ipairs(NAMES) do
    values[i + 1] = quote(name, record[name])
  end
  return change(self, PUT .. "(" .. table.concat(values, ", ") .. ")")
end

function Store:get(number)
  local row, message =
    fetch_one(self, ("%s WHERE number = %d"):format(SELECT, number))
  if row then
    return select(2, read_row(row))
  end
  return nil, message
end

function Store:remove(number)
  return change(self, ("DELETE FROM records WHERE number = %d"):format(number))
end

function Store:touch(number, times)
  local changes = {}
  for i, name in ipairs(TIMES) do
    changes[i] = name .. " = " .. quote(name, times[name])
  end
  return change(self, ("UPDATE records SET %s WHERE number = %d"):format(
    table.concat(changes, ", "), number))
end

--- Iterates over number, record. The cursor is closed with the loop.
function Store:each()
  local cursor = assert(execute(self, SELECT))
  local row, is_at_end = {}, false
  local function next_row()
    row = cursor:fetch(row, "n")
    is_at_end = not row
    if row then
      return read_row(row)
    end
  end
  return next_row, nil, nil, setmetatable({}, { __close = function()
    if not is_at_end then
      cursor:close()
    end
  end })
end

function Store:commit()
  if not self.is_changing then
    return true
  end
  local committed, message = execute(self, "COMMIT")
  self.is_changing = not committed
  return committed, message
end

function Store:close()
  self:commit()
  self.connection:close()
  self.environment:close()
end

-- Prepares a new database, or checks one that is there.
local function prepare(self)
  assert(fetch_one(self, "PRAGMA journal_mode = WAL"))
  assert(execute(self, "PRAGMA synchronous = NORMAL"))
  assert(fetch_one(self, "PRAGMA busy_timeout = 0")) -- the node does not wait
  local version = tonumber(assert(fetch_one(self, "PRAGMA user_version"))[1])
  if version > VERSION then
    error(("it has version %d, and this program knows %d"):format(version,
      VERSION), 0)
  end
  assert(execute(self, SCHEMA))
  assert(execute(self, "PRAGMA user_version = " .. VERSION))
end

--- Opens a database, and makes it if it is missing.
---@param path string
---@return kadenza.Store? store
---@return string? message
function M.open(path)
  local environment = assert(luasql.sqlite3())
  local connection, message = environment:connect(path)
  if not connection then
    environment:close()
    return nil, path .. ": " .. message
  end
  local self = setmetatable(
    { environment = environment, connection = connection }, Store)
  local prepared, problem = pcall(prepare, self)
  if not prepared then
    self:close()
    return nil, path .. ": " .. tostring(problem)
  end
  return self
end

return M

--- sqlite: a node that keeps its records in an SQLite database.
--
--     $ lua5.4 scripts/examples/store/sqlite.lua records.db 127.0.0.1:7001
--     listening on 127.0.0.1:7001 with 0 records
--     ^C
--
-- Further arguments are addresses of nodes to join through. Started again, it
-- serves the records that it held before.

local kad = require("kadenza")

local FOLDER <const> = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = FOLDER .. "/?.lua;" .. package.path

local sqlite_store = require("sqlite_store")

local function main(path, listen, ...)
  local node = assert(kad.node({
    listen = listen,
    allow_local = true,
    store = assert(sqlite_store.open(path)),
  }))
  print(("listening on %s with %d records"):format(node:addresses()[1],
    node:stats().records))
  io.stdout:flush()
  if ... then
    assert(node:bootstrap({ ... }))
  end
  while true do
    kad.sleep(3600)
  end
end

if #arg < 2 then
  io.stderr:write("usage: sqlite.lua FILE IP:PORT [HOST:PORT]...\n")
  os.exit(2)
end
kad.run(function()
  main(table.unpack(arg))
end)

-- Writes what is generated in the documents: the reference of the C library
-- from core/kadenza*.h, the reference of the Lua library from the annotations
-- in scripts/kadenza, the options of the program in operations.md, the metrics
-- in metrics.md, the unit of systemd in service.md, the manual page, and the
-- completion for shells.
--
--   lua5.4 docs/generate.lua [FOLDER]      default: docs
--
-- Run it at the root, with the built module kadenza.core on the path. The same
-- sources give the same text; tests/check/reference.lua compares it with what
-- is in the tree.

package.path = "./?.lua;" .. package.path

local c = require("docs.generate.c")
local completion = require("docs.generate.completion")
local lua = require("docs.generate.lua")
local manual = require("docs.generate.manual")
local metrics = require("docs.generate.metrics")
local options = require("docs.generate.options")
local service = require("docs.generate.service")

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return assert(file:read("a"))
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local folder = arg[1] or "docs"
assert(os.execute("mkdir -p '" .. folder .. "/reference' '" .. folder
  .. "/completion'"))
write(folder .. "/reference/c.md", c.reference({ "core/kadenza.h",
  "core/kadenza_bencode.h", "core/kadenza_blocklist.h",
  "core/kadenza_item.h", "core/kadenza_names.h",
  "core/kadenza_reachability.h",
  "core/kadenza_sample.h", "core/kadenza_scrape.h", "core/kadenza_secure_id.h",
  "core/kadenza_talkers.h", "core/kadenza_tap.h",
  "core/kadenza_network_key.h",
  "core/kadenza_option.h", "core/kadenza_held.h",
  "core/kadenza_store.h", "core/kadenza_backend.h",
  "core/kadenza_durable.h", "core/kadenza_inherited.h",
  "core/kadenza_codec.h",
  "core/kadenza_socket.h", "core/kadenza_histogram.h", "core/kadenza_tally.h",
  "core/kadenza_watch.h", "core/kadenza_sim.h" }))
write(folder .. "/operations.md",
  options.operations(read("docs/operations.md")))
write(folder .. "/service.md", service.page(read("docs/service.md"),
  read("packaging/systemd/kadenza.service")))
write(folder .. "/metrics.md", metrics.page(read("docs/metrics.md")))
write(folder .. "/kadenza.1", manual.page())
write(folder .. "/reference/lua.md", lua.reference("scripts/kadenza"))
local commands, options_of_program = completion.commands()
for name, script in pairs(completion.FILES) do
  write(folder .. "/completion/" .. name, script(commands, options_of_program))
end

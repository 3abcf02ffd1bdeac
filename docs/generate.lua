-- Writes the reference: of the C library from core/kadenza*.h, of the Lua
-- library from the annotations in scripts/kadenza.
--
--   lua5.4 docs/generate.lua [FOLDER]      docs/reference if none is named
--
-- The same sources give the same text; tests/check/reference.lua compares it
-- with what is in the tree. Run it at the root.

package.path = "./?.lua;" .. package.path

local c = require("docs.generate.c")
local lua = require("docs.generate.lua")

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local folder = arg[1] or "docs/reference"
assert(os.execute("mkdir -p '" .. folder .. "'"))
write(folder .. "/c.md", c.reference({ "core/kadenza.h",
  "core/kadenza_store.h", "core/kadenza_sim.h" }))
write(folder .. "/lua.md", lua.reference("scripts/kadenza"))

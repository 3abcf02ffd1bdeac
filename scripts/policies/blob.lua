--- blob: holds chunks, the records that make up blobs.
--
-- A blob is a sequence of bytes of any length, cut into chunks. See
-- `kadenza.blob` and the section "Blobs" of docs/libraries.md. This is the
-- library's policy with its defaults.
--
-- Rules
--   * The key of a record of type `chunk` is the hash of its value.
--   * A chunk has no signature and no `seq`, and at most 1,000 bytes.
--   * It expires a day after the last put. Its holders republish it every hour.
--
-- From the command line
--
--     kadenza run --policy blob.lua
--
-- From Lua
--
--     local blob = require("kadenza.blob")
--     local root = assert(blob.put(node, bytes))
--     local same = assert(blob.get(node, root))

local kad = require("kadenza")

local policy = require("kadenza.blob").policy()

policy.samples = { types = { chunk = {
  { value = "\0hello", key = kad.key("\0hello") },
  { value = "\0", key = kad.key("\0") },
  { value = "\0hello", key = kad.key("hello") },
} } }

return policy

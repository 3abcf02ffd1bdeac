--- blob: holds chunks, the records that blobs are made of.
--
-- A blob is bytes of any length, cut into chunks; see `kadenza.blob` and the
-- section "Blobs" of docs/libraries.md. This policy is that library's, with its
-- defaults.
--
-- Rules
--   * The key of a record of type `chunk` is the hash of its value.
--   * It is neither signed nor numbered, and has up to 1,000 bytes.
--   * It lives a day after it was put last. Nodes that hold it republish it
--     every hour.
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

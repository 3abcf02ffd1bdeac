rockspec_format = "3.0"
package = "kadenza"
version = "scm-1"

source = {
  url = "git+https://github.com/kadenza/kadenza.git",
}

description = {
  summary = "A Kademlia DHT node with Lua policies",
  detailed = [[
    A node of a distributed hash table: the mainline DHT of BitTorrent or an
    overlay of your own. What to accept, how to merge it, how long it lives and
    what new messages mean are Lua functions, reloadable while the node runs.
  ]],
  license = "MIT",
  labels = { "dht", "kademlia", "p2p", "network" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.4, < 5.5",
  "argparse >= 0.7",
  "dkjson >= 2.5",
}

external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
  SODIUM = { header = "sodium.h", library = "sodium" },
}

build = {
  type = "builtin",
  -- tests/check/rockspec.lua compares both lists with the tree.
  modules = {
    ["kadenza.core"] = {
      sources = {
      },
      libraries = { "uv", "sodium" },
      incdirs = { "core", "$(LIBUV_INCDIR)", "$(SODIUM_INCDIR)" },
      libdirs = { "$(LIBUV_LIBDIR)", "$(SODIUM_LIBDIR)" },
    },
  },
}

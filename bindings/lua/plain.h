/* plain.h: plain values, carried from one Lua state to another as bytes.
 *
 *     core.unpack_plain(core.pack_plain({ total = 7 }, "state"))
 *
 * Plain is nil, a boolean, a number, a string, or a table of these without a
 * metatable, within bounds. A table met twice comes out as two. */
#ifndef KAD_LUA_PLAIN_H
#define KAD_LUA_PLAIN_H

#include <lua.h>

enum {
  KAD_PLAIN_DEPTH = 32,   /* of nested tables */
  KAD_PLAIN_MAX = 1048576 /* bytes, packed */
};

/* Adds to the table at the top
 *   pack_plain(value, name) → bytes; raises, naming the place in `name`, for
 *                             what is not plain or is too much
 *   unpack_plain(bytes) → value
 * [-0, +0, m] */
void kad_lua_add_plain(lua_State *L);

#endif

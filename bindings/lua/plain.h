/* plain.h: carries plain values from one Lua state to another, as bytes.
 *
 *     core.unpack_plain(core.pack_plain({ total = 7 }, "state"))
 *
 * Plain values are nil, booleans, numbers, strings, and tables of these without
 * a metatable, within bounds. A table that is met twice becomes two tables.
 *
 * A value is a tag and its bytes. A table is '{', its keys and values in turn,
 * and '}'. The bytes stay in the process, so numbers are in its own format.
 * Metamethods are not used: no script runs here. */
#ifndef KAD_LUA_PLAIN_H
#define KAD_LUA_PLAIN_H

#include <lua.h>

enum {
  KAD_PLAIN_DEPTH = 32,   /* of nested tables */
  KAD_PLAIN_MAX = 1048576 /* bytes, packed */
};

/* Adds to the table at the top
 *   pack_plain(value, name) → bytes; raises, with the place in `name`, for a
 *                             value that is not plain or too large
 *   unpack_plain(bytes) → value
 * [-0, +0, m] */
void kad_lua_add_plain(lua_State *L);

#endif

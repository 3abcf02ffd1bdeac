/* inherited.h: sockets that another program has bound and handed over, and the
 * variables that tell of them.
 *
 * Tested by tests/spec/node_sockets_spec.lua,
 * tests/spec/cli/inherited_spec.lua.
 */
#ifndef KAD_LUA_INHERITED_H
#define KAD_LUA_INHERITED_H

#include "lua/handle.h"

#include <stdbool.h>
#include <stddef.h>

/* What a node is opened on: addresses to bind, or bound sockets. */
struct kad_lua_place {
  struct kad_address listen[KAD_LUA_MAX_LISTEN];
  int sockets[KAD_LUA_MAX_LISTEN];
  size_t count;
  bool is_bound;
};

/* Reads argument `arg`, a list of 1 to KAD_LUA_MAX_LISTEN addresses, or of
 * descriptors of sockets that a node can use. [-0, +0, v] */
void kad_lua_check_place(lua_State *L, int arg, struct kad_lua_place *place);

/* Adds functions to the table at the top. [-0, +0, m] */
void kad_lua_add_inherited(lua_State *L);

#endif

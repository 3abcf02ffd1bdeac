/* inherited.h: sockets that another program has bound and handed over, and the
 * variables that tell of them.
 *
 * Tested by tests/spec/node_sockets_spec.lua,
 * tests/spec/cli/inherited_spec.lua.
 */
#ifndef KAD_LUA_INHERITED_H
#define KAD_LUA_INHERITED_H

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

/* Returns whether argument `arg` is a list that begins with a descriptor.
 * [-0, +0, -] */
bool kad_lua_is_socket_list(lua_State *L, int arg);

/* Reads argument `arg`, a list of 1 to KAD_LUA_MAX_LISTEN descriptors of
 * sockets that a node can use. Returns their number. [-0, +0, v] */
size_t kad_lua_check_sockets(lua_State *L, int arg, int *sockets);

/* Adds functions to the table at the top. [-0, +0, m] */
void kad_lua_add_inherited(lua_State *L);

#endif

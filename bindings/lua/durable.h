/* Durable stores for nodes of Lua: kadenza_durable.h. */
#ifndef KAD_LUA_DURABLE_H
#define KAD_LUA_DURABLE_H

#include "kadenza.h"

#include <lua.h>

/* Adds `open_durable` to the table at the top. [-0, +0, m] */
void kad_lua_add_durable(lua_State *L);

/* Sets the store of `config` to the durable store in the field `durable` of the
 * table at `arg`, if it has one. [-0, +0, v] */
void kad_lua_durable_field(lua_State *L, int arg, struct kad_config *config);

#endif

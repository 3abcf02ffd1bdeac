/* counters.h: names and meanings of the counters of a node. */
#ifndef KAD_LUA_COUNTERS_H
#define KAD_LUA_COUNTERS_H

#include <lua.h>

/* Adds counters to the table at the top. [-0, +0, m] */
void kad_lua_add_counters(lua_State *L);

#endif

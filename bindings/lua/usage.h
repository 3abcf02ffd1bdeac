/* usage.h: what the process uses of the machine. */
#ifndef KAD_LUA_USAGE_H
#define KAD_LUA_USAGE_H

#include <lua.h>

/* Adds usage to the table at the top. [-0, +0, m] */
void kad_lua_add_usage(lua_State *L);

#endif

/* tap.h: the method `tap` of an owning handle of a node. */
#ifndef KAD_LUA_TAP_H
#define KAD_LUA_TAP_H

#include <lua.h>

/* node:tap(fn or nil). [-0, +0, v] */
int kad_lua_node_tap(lua_State *L);

#endif

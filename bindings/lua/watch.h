/* watch.h: file descriptors in the loop of a network. */
#ifndef KAD_LUA_WATCH_H
#define KAD_LUA_WATCH_H

#include <lauxlib.h>

/* The methods watch, change_watch and end_watch of owning handles. Ends with
 * NULL. */
extern const luaL_Reg kad_lua_watch_methods[];

#endif

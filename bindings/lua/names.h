/* names.h: the methods of nodes for bootstrap names. */
#ifndef KAD_LUA_NAMES_H
#define KAD_LUA_NAMES_H

#include <lauxlib.h>
#include <lua.h>

/* Ends with NULL. */
extern const luaL_Reg kad_lua_name_methods[];

#endif

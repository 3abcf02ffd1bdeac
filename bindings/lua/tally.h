/* node:tallies(): queries by method, errors by code. */
#ifndef KAD_LUA_TALLY_H
#define KAD_LUA_TALLY_H

#include <lua.h>

/* node:tallies() → list of {subject, kind, count} */
int kad_lua_node_tallies(lua_State *L);

#endif

/* sim.h: the methods of simulated networks: what may happen to their nodes. */
#ifndef KAD_LUA_SIM_H
#define KAD_LUA_SIM_H

#include <lauxlib.h>
#include <lua.h>

/* Ends with NULL. */
extern const luaL_Reg kad_lua_sim_methods[];

#endif

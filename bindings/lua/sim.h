/* sim.h: the options of simulated networks, and the methods by which something
 * happens to their nodes. */
#ifndef KAD_LUA_SIM_H
#define KAD_LUA_SIM_H

#include "kadenza_sim.h"

#include <lauxlib.h>
#include <lua.h>

/* Ends with NULL. */
extern const luaL_Reg kad_lua_sim_methods[];

/* Reads the options, argument 1. `quantiles` has room for
 * KAD_SIM_QUANTILES_MAX, and `config` may borrow it. [-0, +0, v] */
void kad_lua_sim_config_check(lua_State *L, struct kad_sim_config *config,
                              struct kad_sim_quantile *quantiles);

#endif

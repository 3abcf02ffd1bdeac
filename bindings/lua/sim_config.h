/* sim_config.h: the options of a simulated network. */
#ifndef KAD_LUA_SIM_CONFIG_H
#define KAD_LUA_SIM_CONFIG_H

#include "kadenza_sim.h"

#include <lua.h>

/* Reads the options, argument 1. `quantiles` has room for
 * KAD_SIM_QUANTILES_MAX, and `config` may borrow it. [-0, +0, v] */
void kad_lua_sim_config_check(lua_State *L, struct kad_sim_config *config,
                              struct kad_sim_quantile *quantiles);

#endif

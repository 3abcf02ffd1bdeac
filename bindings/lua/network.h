/* network.h: networks, on UDP or in virtual time. */
#ifndef KAD_LUA_NETWORK_H
#define KAD_LUA_NETWORK_H

#include "lua/handle.h"

/* Pushes a borrowed handle of the network of `owner` in the state of `L`. It
 * has now, time, random, is_simulated, is_open, start_timer, stop_timer and
 * resolve. When it is collected, its timers are stopped. [-0, +1, m] */
struct kad_lua_network *kad_lua_network_borrow(
    lua_State *L, const struct kad_lua_network *owner);

/* The methods of all handles for timers and names. Ends with NULL. */
extern const luaL_Reg kad_lua_network_event_methods[];

/* The method on_signal of owning handles. [-0, +1|3, v] */
int kad_lua_network_on_signal(lua_State *L);

/* Adds the constructors udp and sim to the table at the top. [-0, +0, m] */
void kad_lua_add_network(lua_State *L);

#endif

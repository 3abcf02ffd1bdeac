/* network_events.h: the methods of networks that call functions later: timers,
 * names, signals. */
#ifndef KAD_LUA_NETWORK_EVENTS_H
#define KAD_LUA_NETWORK_EVENTS_H

#include <lauxlib.h>
#include <lua.h>

/* The methods of all handles: timers and names. Ends with NULL. */
extern const luaL_Reg kad_lua_network_event_methods[];

/* The method on_signal of owning handles. [-0, +1|3, v] */
int kad_lua_network_on_signal(lua_State *L);

#endif

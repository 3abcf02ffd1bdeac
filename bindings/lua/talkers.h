/* talkers.h: the hosts that send a node most. */
#ifndef KAD_LUA_TALKERS_H
#define KAD_LUA_TALKERS_H

#include <lua.h>

/* node:count_talkers(on) → true, or nil, message, code */
int kad_lua_node_count_talkers(lua_State *L);

/* node:talkers(count) → list of { host, datagrams, bytes, dropped }, most
 * datagrams first, and the seconds that the numbers cover. */
int kad_lua_node_talkers(lua_State *L);

#endif

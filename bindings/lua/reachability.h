/* node:reachability(): whether others can reach a node. */
#ifndef KAD_LUA_REACHABILITY_H
#define KAD_LUA_REACHABILITY_H

#include <lua.h>

/* node:reachability() → table: `ip4`, `ip6`, of the families that the node has.
 * Each has `state`, `read_only`, `symmetric`, and `idle`, the seconds since the
 * last unasked query, if there was one. */
int kad_lua_node_reachability(lua_State *L);

#endif

/* blocklist.h: ranges of addresses that a node blocks or exempts. */
#ifndef KAD_LUA_BLOCKLIST_H
#define KAD_LUA_BLOCKLIST_H

#include <lua.h>

/* node:block(list), node:exempt(list) → true, or nil, message, code. `list` has
 * texts of ranges; a wrong one raises and is named. */
int kad_lua_node_block(lua_State *L);
int kad_lua_node_exempt(lua_State *L);

/* is_address_range(text) → whether the text is one of a range. */
int kad_lua_is_address_range(lua_State *L);

#endif

/* held.h: the records that a node holds, as methods of its handle. */
#ifndef KAD_LUA_HELD_H
#define KAD_LUA_HELD_H

#include <lua.h>

/* Calls `push`, which returns one value, with `data`, while the collector is
 * stopped: a finalizer might close the node, or remove the records that are
 * borrowed. [-0, +1, e] */
void kad_lua_push_without_collector(lua_State *L, lua_CFunction push,
                                    void *data);

/* Methods. [-0, +1|2, v] */
int kad_lua_node_held(lua_State *L);
int kad_lua_node_held_types(lua_State *L);
int kad_lua_node_held_page(lua_State *L);

#endif

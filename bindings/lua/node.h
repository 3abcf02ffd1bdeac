/* node.h: nodes. */
#ifndef KAD_LUA_NODE_H
#define KAD_LUA_NODE_H

#include "lua/handle.h"

/* Pushes a borrowed handle of the node of `owner` in the state of `L`. It has
 * all methods but receive, network and close. When it is collected, operations
 * that were begun through it are canceled, and their functions are not called.
 * [-0, +1, m] */
struct kad_lua_node *kad_lua_node_borrow(lua_State *L,
                                         const struct kad_lua_node *owner);

/* Opens a node: the method open_node of networks. [-0, +1|3, v] */
int kad_lua_node_open(lua_State *L);

#endif

/* node_handle.h: the handle of a node in a Lua state. */
#ifndef KAD_LUA_NODE_HANDLE_H
#define KAD_LUA_NODE_HANDLE_H

#include "lua/context.h"
#include "lua/link.h"

/* Names of metatables. */
#define KAD_LUA_NODE          "kadenza.core.Node"
#define KAD_LUA_NODE_BORROWED "kadenza.core.Node (borrowed)"

enum {
  KAD_LUA_MAX_LISTEN = 8 /* addresses of a node */
};

/* User values of the handle. */
enum {
  KAD_LUA_NODE_CALLBACKS = 1, /* table: see callback.h */
  KAD_LUA_NODE_NETWORK = 2,   /* the network's handle; owner only */
  KAD_LUA_NODE_SEND = 3,      /* function of a transport; owner only */
  KAD_LUA_NODE_VALUES = 3
};

/* The memory of the handle. */
struct kad_lua_node {
  struct kad_lua_link *link; /* NULL when closed */
  struct kad_lua_context *context;
  struct kad_lua_callback *callbacks; /* of operations */
  lua_Integer serial;                 /* of the last operation */
  unsigned bits;                      /* width of the overlay's ids */
  bool borrowed;
};

/* Returns the handle at argument `arg`, owning or borrowed, which may be
 * closed.
 * [-0, +0, v] */
struct kad_lua_node *kad_lua_node_handle(lua_State *L, int arg);

/* Does the same, but raises "closed node" if it is closed. [-0, +0, v] */
struct kad_lua_node *kad_lua_check_node(lua_State *L, int arg);

/* Tells whether the node is open. */
static inline bool kad_lua_node_handle_is_open(
    const struct kad_lua_node *self) {
  return self->link != NULL && self->link->node != NULL;
}

/* Closes the node of an owning handle. Its operations end; with `silently`,
 * their functions are not called. */
void kad_lua_node_handle_close(struct kad_lua_node *self, bool silently);

/* Removes the node handle at `index` from those that its network keeps.
 * [-0, +0, -] */
void kad_lua_node_handle_release(lua_State *L, int index);

/* Reads argument `arg`, a list of 1 to KAD_LUA_MAX_LISTEN addresses, and
 * returns their number. [-0, +0, v] */
size_t kad_lua_check_listen(lua_State *L, int arg, struct kad_address *listen);

#endif

/* handle.h: the handles of networks and nodes in a Lua state.
 *
 * A network and its nodes belong to the Lua state that made them, by *owning*
 * handles. Other states, such as a VM of policies, have *borrowed* handles of
 * the same objects: they have fewer methods, they close nothing, and they are
 * closed when the owner closes the object.
 *
 * The handle of a network keeps its nodes from the collector: a node stays open
 * until it or its network is closed. */
#ifndef KAD_LUA_HANDLE_H
#define KAD_LUA_HANDLE_H

#include "lua/callback.h"

/* Names of metatables. */
#define KAD_LUA_NETWORK          "kadenza.Network"
#define KAD_LUA_NETWORK_BORROWED "kadenza.Network (borrowed)"
#define KAD_LUA_NODE             "kadenza.core.Node"
#define KAD_LUA_NODE_BORROWED    "kadenza.core.Node (borrowed)"

/* The longest delay of a timer and length of a run: about 31 years. */
#define KAD_LUA_MAX_MS ((lua_Integer)1000000000000)

enum {
  KAD_LUA_SIGNALS = 4,   /* signals that on_signal knows */
  KAD_LUA_MAX_LISTEN = 8 /* addresses of a node */
};

/* What belongs to a node and ends with it: its policies. In the list of the
 * link of its node, and once that is closed in the list of the network's. */
struct kad_lua_dependent {
  struct kad_lua_dependent *next;
  struct kad_lua_dependent **link; /* NULL: in no list */
  /* Ends it, if it can end now; with `at_last` it cannot later, because the
   * network is about to end. What has ended is in no list. [-0, +0, m] */
  void (*end)(struct kad_lua_dependent *dependent, lua_State *L, bool at_last);
};

/* What the handles of one network, or of one node, share. It counts them,
 * because a state does not know when the others end. */
struct kad_lua_link {
  struct kad_network *network; /* NULL once closed */
  struct kad_node *node;       /* of a node's link; NULL once closed */
  /* Of a network: callbacks whose handle was collected; freed with it. */
  struct kad_lua_callback *orphans;
  struct kad_lua_dependent *dependents;
  struct kad_lua_link *home; /* of a node's link: its network's, until closed */
  unsigned in_store; /* calls of record stores in Lua that are under way */
  unsigned handles;
};

/* User values of the handle of a network. */
enum {
  KAD_LUA_NETWORK_CALLBACKS = 1, /* table: see callback.h */
  KAD_LUA_NETWORK_NODES = 2,     /* table: node handle → true; owner only */
  KAD_LUA_NETWORK_VALUES = 2
};

/* The memory of the handle of a network. */
struct kad_lua_network {
  struct kad_lua_link *link; /* NULL when closed */
  struct kad_lua_context *context;
  struct kad_lua_callback *callbacks; /* of timers, names, signals, the trace */
  lua_Integer serial;                 /* of the last callback */
  lua_Integer signals[KAD_LUA_SIGNALS]; /* serials of theirs; 0: none */
  lua_Integer trace;                    /* serial of its callback; 0: none */
  bool borrowed;
  bool simulated;
  bool running; /* callbacks may run: it must not be run or freed */
  bool closing; /* no node can be opened any more */
};

/* User values of the handle of a node. */
enum {
  KAD_LUA_NODE_CALLBACKS = 1, /* table: see callback.h */
  KAD_LUA_NODE_NETWORK = 2,   /* the network's handle; owner only */
  KAD_LUA_NODE_SEND = 3,      /* function of a transport; owner only */
  KAD_LUA_NODE_STORE = 4,     /* table of a record store; owner only */
  KAD_LUA_NODE_PUBLISHED = 5, /* function of its publications; owner only */
  KAD_LUA_NODE_TAP = 6,       /* function of a tap; owner only */
  KAD_LUA_NODE_VALUES = 6
};

/* The memory of the handle of a node. */
struct kad_lua_node {
  struct kad_lua_link *link; /* NULL when closed */
  struct kad_lua_context *context;
  struct kad_lua_callback *callbacks; /* of operations */
  lua_Integer serial;                 /* of the last operation */
  unsigned bits;                      /* width of the overlay's ids */
  /* A record store in Lua, whose address is the registry key under which its
   * table is kept while it ends. NULL: it has none, or it ends. */
  struct kad_lua_store *store;
  bool borrowed;
};

/* Makes a link with one handle. NULL when memory ends. */
struct kad_lua_link *kad_lua_link_new(void);

/* Adds a handle and returns `link`. */
struct kad_lua_link *kad_lua_link_share(struct kad_lua_link *link);

/* Removes a handle; the last one frees the link. Does nothing with NULL. */
void kad_lua_link_release(struct kad_lua_link *link);

/* Adds `dependent` to the list of `link`. */
void kad_lua_dependent_add(struct kad_lua_link *link,
                           struct kad_lua_dependent *dependent);

/* Removes `dependent` from its list, if it is in one. */
void kad_lua_dependent_remove(struct kad_lua_dependent *dependent);

/* Ends what belonged to closed nodes of the network of `link`; what cannot end
 * yet stays. [-0, +0, m] */
void kad_lua_link_end_dependents(lua_State *L, struct kad_lua_link *link,
                                 bool at_last);

/* Pushes the metatable `name`, made at the first call from the method tables
 * in `methods`, which ends with NULL, and from `meta`. [-0, +1, m] */
void kad_lua_push_metatable(lua_State *L, const char *name,
                            const luaL_Reg *const *methods,
                            const luaL_Reg *meta);

/* Returns the handle of a network at argument `arg`, owning or borrowed, which
 * may be closed. [-0, +0, v] */
struct kad_lua_network *kad_lua_network_handle(lua_State *L, int arg);

/* Does the same, but raises "closed network" if it is closed. [-0, +0, v] */
struct kad_lua_network *kad_lua_check_network(lua_State *L, int arg);

/* Returns the handle of a node at argument `arg`, owning or borrowed, which may
 * be closed. [-0, +0, v] */
struct kad_lua_node *kad_lua_node_handle(lua_State *L, int arg);

/* Does the same, but raises "closed node" if it is closed. [-0, +0, v] */
struct kad_lua_node *kad_lua_check_node(lua_State *L, int arg);

/* Tells whether the node is open. */
static inline bool kad_lua_node_handle_is_open(
    const struct kad_lua_node *self) {
  return self->link != NULL && self->link->node != NULL;
}

/* Raises an error while a record store of the object of `link` is called: it
 * must not be used or ended then. [-0, +0, v] */
void kad_lua_check_not_in_store(lua_State *L, const struct kad_lua_link *link);

/* Closes the node of the owning handle at `index`. Its operations end; with
 * `silently`, their functions are not called. [-0, +0, -] */
void kad_lua_node_handle_close(lua_State *L, int index, bool silently);

/* Does the same with the owning handle at `index`, and removes it from those
 * that its network keeps once none of its functions is to be called. Raises the
 * error of a function, unless the network is being run. [-0, +0, v] */
void kad_lua_node_close(lua_State *L, int index, bool silently);

/* Makes the network no longer keep the handle at `index`. [-0, +0, -] */
void kad_lua_node_handle_release(lua_State *L, int index);

/* Reads argument `arg`, a list of 1 to KAD_LUA_MAX_LISTEN addresses, and
 * returns their number. [-0, +0, v] */
size_t kad_lua_check_listen(lua_State *L, int arg, struct kad_address *listen);

#endif

/* link.h: what the handles of one network, or of one node, share.
 *
 * A network and its nodes belong to the Lua state that made them, by *owning*
 * handles. Other states, such as a VM of policies, have *borrowed* handles of
 * the same objects: they have fewer methods, they close nothing, and they are
 * closed when the owner closes the object.
 *
 * The handle of a network keeps its nodes from the collector: a node stays open
 * until it or its network is closed. */
#ifndef KAD_LUA_LINK_H
#define KAD_LUA_LINK_H

#include "kadenza.h"

#include <lauxlib.h>
#include <lua.h>

struct kad_lua_callback;

/* Counts its handles, because a state does not know when the others end. */
struct kad_lua_link {
  struct kad_network *network; /* NULL once closed */
  struct kad_node *node;       /* of a node's link; NULL once closed */
  /* Of a network's link: callbacks whose handle was collected. They are freed
   * with the network. */
  struct kad_lua_callback *orphans;
  unsigned handles;
};

/* Makes a link with one handle. NULL when memory ends. */
struct kad_lua_link *kad_lua_link_new(void);

/* Adds a handle and returns `link`. */
struct kad_lua_link *kad_lua_link_share(struct kad_lua_link *link);

/* Removes a handle; the last one frees the link. Does nothing with NULL. */
void kad_lua_link_release(struct kad_lua_link *link);

/* Pushes the metatable `name`, made at the first call from the method tables
 * `methods` and `more` (may be NULL) and from `meta`. [-0, +1, m] */
void kad_lua_push_metatable(lua_State *L, const char *name,
                            const luaL_Reg *methods, const luaL_Reg *more,
                            const luaL_Reg *meta);

#endif

#include "lua/handle.h"

#include "lua/argument.h"
#include "replication/publications.h"

struct kad_lua_link *kad_lua_link_new(void) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_lua_link *const link =
      allocator.resize(allocator.state, NULL, 0, sizeof *link);
  if (link != NULL) {
    *link = (struct kad_lua_link){.handles = 1};
  }
  return link;
}

struct kad_lua_link *kad_lua_link_share(struct kad_lua_link *link) {
  link->handles++;
  return link;
}

void kad_lua_link_release(struct kad_lua_link *link) {
  const struct kad_allocator allocator = kad_allocator_default();
  if (link != NULL && --link->handles == 0) {
    (void)allocator.resize(allocator.state, link, sizeof *link, 0);
  }
}

void kad_lua_dependent_add(struct kad_lua_link *link,
                           struct kad_lua_dependent *dependent) {
  dependent->next = link->dependents;
  dependent->link = &link->dependents;
  if (dependent->next != NULL) {
    dependent->next->link = &dependent->next;
  }
  link->dependents = dependent;
}

void kad_lua_dependent_remove(struct kad_lua_dependent *dependent) {
  if (dependent->link == NULL) {
    return;
  }
  *dependent->link = dependent->next;
  if (dependent->next != NULL) {
    dependent->next->link = dependent->link;
  }
  dependent->next = NULL;
  dependent->link = NULL;
}

/* Moves the dependents of `from` to `to`. */
static void move_dependents(struct kad_lua_link *from,
                            struct kad_lua_link *to) {
  while (from->dependents != NULL) {
    struct kad_lua_dependent *const dependent = from->dependents;
    kad_lua_dependent_remove(dependent);
    kad_lua_dependent_add(to, dependent);
  }
}

/* One that ends may end others: both lists have only what is there. */
void kad_lua_link_end_dependents(lua_State *L, struct kad_lua_link *link,
                                 bool at_last) {
  struct kad_lua_link tried = {0};
  while (link->dependents != NULL) {
    struct kad_lua_dependent *const dependent = link->dependents;
    kad_lua_dependent_remove(dependent);
    kad_lua_dependent_add(&tried, dependent);
    (void)dependent->end(dependent, L, at_last); /* it may be freed */
  }
  move_dependents(&tried, link);
}

void kad_lua_push_metatable(lua_State *L, const char *name,
                            const luaL_Reg *const *methods,
                            const luaL_Reg *meta) {
  luaL_checkstack(L, 4, NULL);
  if (luaL_newmetatable(L, name) == 0) {
    return;
  }
  lua_newtable(L);
  for (; *methods != NULL; methods++) {
    luaL_setfuncs(L, *methods, 0);
  }
  lua_setfield(L, -2, "__index");
  luaL_setfuncs(L, meta, 0);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
}

/* Returns the handle at `arg`, owning or borrowed. [-0, +0, v] */
static void *check_handle(lua_State *L, int arg, const char *owning,
                          const char *borrowed) {
  void *const handle = luaL_testudata(L, arg, borrowed);
  return handle != NULL ? handle : luaL_checkudata(L, arg, owning);
}

struct kad_lua_network *kad_lua_network_handle(lua_State *L, int arg) {
  return check_handle(L, arg, KAD_LUA_NETWORK, KAD_LUA_NETWORK_BORROWED);
}

struct kad_lua_network *kad_lua_check_network(lua_State *L, int arg) {
  struct kad_lua_network *const self = kad_lua_network_handle(L, arg);
  if (self->link == NULL || self->link->network == NULL) {
    luaL_error(L, "closed network");
  }
  return self;
}

struct kad_lua_node *kad_lua_node_handle(lua_State *L, int arg) {
  return check_handle(L, arg, KAD_LUA_NODE, KAD_LUA_NODE_BORROWED);
}

struct kad_lua_node *kad_lua_check_node(lua_State *L, int arg) {
  struct kad_lua_node *const self = kad_lua_node_handle(L, arg);
  if (!kad_lua_node_handle_is_open(self)) {
    luaL_error(L, "closed node");
  } else {
    kad_lua_check_not_in_store(L, self->link);
  }
  return self;
}

void kad_lua_check_not_in_store(lua_State *L, const struct kad_lua_link *link) {
  if (link->in_store > 0) {
    luaL_error(L, "a record store cannot use the node that it belongs to");
  }
}

/* Keeps the record store of the handle at `index`, if it has one, from the
 * collector until its node has ended: the handle may be collected before. The
 * key is in the registry already, so this cannot fail. [-0, +0, -] */
static void keep_store(lua_State *L, int index, struct kad_lua_node *self) {
  struct kad_lua_store *const store = self->store;
  self->store = NULL;
  if (store != NULL) {
    luaL_checkstack(L, 3, NULL);
    lua_getiuservalue(L, index, KAD_LUA_NODE_STORE);
    lua_rawsetp(L, LUA_REGISTRYINDEX, store);
  }
}

void kad_lua_node_handle_close(lua_State *L, int index, bool silently) {
  struct kad_lua_node *const self = lua_touserdata(L, index);
  if (silently) {
    while (self->callbacks != NULL) { /* freed when the core calls them */
      self->callbacks->handle = NULL;
      kad_lua_callback_unlink(self->callbacks);
    }
  }
  if (self->link == NULL) {
    return;
  }
  struct kad_lua_link *const link = self->link;
  struct kad_network *const network = link->network;
  struct kad_node *const node = link->node;
  keep_store(L, index, self);
  self->link = NULL;
  link->network = NULL;
  link->node = NULL;
  if (node != NULL) {
    kad_publications_watch(node, NULL, NULL);
    kad_network_close_node(network, node);
  }
  if (link->home != NULL) {
    move_dependents(link, link->home);
    link->home = NULL;
  }
  kad_lua_link_release(link);
}

void kad_lua_node_close(lua_State *L, int index, bool silently) {
  struct kad_lua_node *const self = lua_touserdata(L, index);
  lua_getiuservalue(L, index, KAD_LUA_NODE_NETWORK);
  struct kad_lua_network *const network = lua_touserdata(L, -1);
  const bool running = network->running;
  network->running = true;
  kad_lua_node_handle_close(L, index, silently);
  if (network->link != NULL) {
    kad_lua_link_end_dependents(L, network->link, false);
  }
  network->running = running;
  lua_pop(L, 1);
  if (self->callbacks == NULL) {
    kad_lua_node_handle_release(L, index);
  }
  if (!running) {
    kad_lua_context_rethrow(L);
  }
}

void kad_lua_node_handle_release(lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 5, NULL);
  if (lua_getiuservalue(L, index, KAD_LUA_NODE_NETWORK) == LUA_TUSERDATA) {
    lua_getiuservalue(L, -1, KAD_LUA_NETWORK_NODES);
    lua_pushvalue(L, index);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

size_t kad_lua_check_listen(lua_State *L, int arg, struct kad_address *listen) {
  luaL_checktype(L, arg, LUA_TTABLE);
  const size_t count = lua_rawlen(L, arg);
  luaL_argcheck(L, count >= 1 && count <= KAD_LUA_MAX_LISTEN, arg,
                "1 to 8 addresses are needed");
  kad_lua_check_addresses(L, arg, count, listen);
  return count;
}

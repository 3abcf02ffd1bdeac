#include "lua/node_handle.h"

#include "lua/argument.h"
#include "lua/callback.h"
#include "lua/network_handle.h"

struct kad_lua_node *kad_lua_node_handle(lua_State *L, int arg) {
  void *handle = luaL_testudata(L, arg, KAD_LUA_NODE_BORROWED);
  if (handle == NULL) {
    handle = luaL_checkudata(L, arg, KAD_LUA_NODE);
  }
  return handle;
}

struct kad_lua_node *kad_lua_check_node(lua_State *L, int arg) {
  struct kad_lua_node *const self = kad_lua_node_handle(L, arg);
  if (!kad_lua_node_handle_is_open(self)) {
    luaL_error(L, "closed node");
  }
  return self;
}

void kad_lua_node_handle_close(struct kad_lua_node *self, bool silently) {
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
  self->link = NULL;
  link->network = NULL;
  link->node = NULL;
  kad_lua_link_release(link);
  if (node != NULL) {
    kad_network_close_node(network, node);
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

#include "lua/network_handle.h"

struct kad_lua_network *kad_lua_network_handle(lua_State *L, int arg) {
  void *handle = luaL_testudata(L, arg, KAD_LUA_NETWORK_BORROWED);
  if (handle == NULL) {
    handle = luaL_checkudata(L, arg, KAD_LUA_NETWORK);
  }
  return handle;
}

struct kad_lua_network *kad_lua_check_network(lua_State *L, int arg) {
  struct kad_lua_network *const self = kad_lua_network_handle(L, arg);
  if (self->link == NULL || self->link->network == NULL) {
    luaL_error(L, "closed network");
  }
  return self;
}

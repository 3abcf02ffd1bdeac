#include "lua/talkers.h"

#include "kadenza_talkers.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/handle.h"

#include <lauxlib.h>

#include <string.h>

int kad_lua_node_count_talkers(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  return kad_lua_push_outcome(
      L, kad_node_count_talkers(self->link->node, lua_toboolean(L, 2)));
}

/* Pushes "192.0.2.1", or "2001:db8::/64". [-0, +1, m] */
static void push_host(lua_State *L, const struct kad_address *host) {
  char text[KAD_ADDRESS_TEXT_SIZE];
  kad_address_format(host, text);
  const char *const port = strrchr(text, ':');
  if (host->family == 4) {
    lua_pushlstring(L, text, (size_t)(port - text));
  } else { /* "[2001:db8::]:0" */
    lua_pushlstring(L, text + 1, (size_t)(port - text) - 2);
    lua_pushliteral(L, "/64");
    lua_concat(L, 2);
  }
}

static void push_talker(lua_State *L, const struct kad_talker *talker) {
  lua_createtable(L, 0, 4);
  push_host(L, &talker->host);
  lua_setfield(L, -2, "host");
  lua_pushinteger(L, (lua_Integer)talker->datagrams);
  lua_setfield(L, -2, "datagrams");
  lua_pushinteger(L, (lua_Integer)talker->bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, (lua_Integer)talker->dropped);
  lua_setfield(L, -2, "dropped");
}

int kad_lua_node_talkers(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const size_t cap = (size_t)kad_lua_check_integer(L, 2, 1, KAD_TALKERS_MAX);
  struct kad_talker talkers[KAD_TALKERS_MAX];
  kad_time_ms over_ms = 0;
  const size_t count =
      kad_node_talkers(self->link->node, talkers, cap, &over_ms);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_talker(L, &talkers[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushnumber(L, (lua_Number)over_ms / 1000);
  return 2;
}

#include "lua/names.h"

#include "kadenza_names.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/value.h"

static const char *state_of(const struct kad_name_info *info) {
  switch (info->status) {
  case 0:
    return "resolved";
  case KAD_EBUSY:
    return "resolving";
  case KAD_ETIMEOUT:
    return "no server";
  case KAD_ESYSTEM:
    return "no descriptor";
  default:
    return "unknown";
  }
}

/* node:names() → list of { name, state, addresses } */
static int node_names(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  struct kad_name_info info;
  lua_newtable(L);
  for (size_t i = 0; kad_node_name(self->link->node, i, &info); i++) {
    lua_createtable(L, 0, 3);
    kad_lua_push_slice(L, info.text);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, state_of(&info));
    lua_setfield(L, -2, "state");
    kad_lua_push_addresses(L, info.addresses, info.count);
    lua_setfield(L, -2, "addresses");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* node:check_address("ip:port") → true, or nil, message, code: whether the node
 * can send queries to it */
static int node_check_address(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  struct kad_address address;
  kad_lua_check_address(L, 2, &address);
  return kad_lua_push_outcome(
      L, kad_node_check_address(self->link->node, &address));
}

const luaL_Reg kad_lua_name_methods[] = {
    {"names", node_names},
    {"check_address", node_check_address},
    {NULL, NULL},
};

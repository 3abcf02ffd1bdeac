#include "lua/names.h"

#include "kadenza_names.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/value.h"

#include <string.h>

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

/* A name that does not borrow the node. */
struct name_copy {
  const char *state;
  size_t len;
  size_t count;
  uint8_t text[KAD_NAME_TEXT_MAX];
  struct kad_address addresses[KAD_NAME_ADDRESSES_MAX];
};

/* Copies the name at `index`. Returns false if there is none, or if the node is
 * closed. */
static bool copy_name(const struct kad_lua_node *self, size_t index,
                      struct name_copy *copy) {
  struct kad_name_info info;
  if (self->link == NULL || !kad_node_name(self->link->node, index, &info)) {
    return false;
  }
  copy->state = state_of(&info);
  copy->len =
      info.text.len < sizeof copy->text ? info.text.len : sizeof copy->text;
  memcpy(copy->text, info.text.data, copy->len);
  copy->count =
      info.count < KAD_NAME_ADDRESSES_MAX ? info.count : KAD_NAME_ADDRESSES_MAX;
  memcpy(copy->addresses, info.addresses,
         copy->count * sizeof *copy->addresses);
  return true;
}

/* node:names() → list of { name, state, addresses }. Ends early if a finalizer
 * that the collector runs meanwhile closes the node. */
static int node_names(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  struct name_copy copy;
  lua_newtable(L);
  for (size_t i = 0; copy_name(self, i, &copy); i++) {
    lua_createtable(L, 0, 3);
    kad_lua_push_slice(L, (struct kad_slice){copy.text, copy.len});
    lua_setfield(L, -2, "name");
    lua_pushstring(L, copy.state);
    lua_setfield(L, -2, "state");
    kad_lua_push_addresses(L, copy.addresses, copy.count);
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

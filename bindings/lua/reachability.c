#include "lua/reachability.h"

#include "lua/field.h"
#include "lua/handle.h"

enum {
  FIELDS = 4,
  FAMILIES = 2
};

/* Sets the field `name` of the table at the top. [-0, +0, m] */
static void set_family(lua_State *L, const char *name,
                       const struct kad_reachability_info *info,
                       kad_time_ms now) {
  lua_createtable(L, 0, FIELDS);
  kad_lua_set_string(L, "state", kad_reachability_name(info->reachability));
  kad_lua_set_boolean(L, "read_only", info->read_only);
  kad_lua_set_boolean(L, "symmetric", info->is_symmetric);
  if (info->unasked_at != 0) {
    kad_lua_set_number(L, "idle",
                       (lua_Number)(now - info->unasked_at) / 1000.0);
  }
  lua_setfield(L, -2, name);
}

/* Reads all before it makes a table: a finalizer may close the node. */
int kad_lua_node_reachability(lua_State *L) {
  static const char *const names[FAMILIES] = {"ip4", "ip6"};
  static const unsigned families[FAMILIES] = {4, 6};
  struct kad_reachability_info infos[FAMILIES];
  bool has[FAMILIES];
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const struct kad_node *const node = self->link->node;
  const kad_time_ms now = kad_network_node_now(self->link->network, node);
  for (size_t i = 0; i < FAMILIES; i++) {
    has[i] = kad_node_reachability(node, families[i], &infos[i]);
  }
  lua_createtable(L, 0, FAMILIES);
  for (size_t i = 0; i < FAMILIES; i++) {
    if (has[i]) {
      set_family(L, names[i], &infos[i], now);
    }
  }
  return 1;
}

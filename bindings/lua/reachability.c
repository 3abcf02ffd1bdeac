#include "lua/reachability.h"

#include "lua/field.h"
#include "lua/handle.h"

enum {
  FIELDS = 4
};

static const double MS_PER_S = 1000;

/* Sets the field `name` of the table at the top to what is known about
 * `family`, if the node has it. [-0, +0, m] */
static void set_family(lua_State *L, const struct kad_lua_node *node,
                       unsigned family, const char *name) {
  struct kad_reachability_info info;
  if (!kad_node_reachability(node->link->node, family, &info)) {
    return;
  }
  lua_createtable(L, 0, FIELDS);
  kad_lua_set_string(L, "state", kad_reachability_name(info.reachability));
  kad_lua_set_boolean(L, "read_only", info.read_only);
  kad_lua_set_boolean(L, "symmetric", info.is_symmetric);
  if (info.unasked_at != 0) {
    const kad_time_ms now =
        kad_network_node_now(node->link->network, node->link->node);
    kad_lua_set_number(L, "idle",
                       (lua_Number)(now - info.unasked_at) / MS_PER_S);
  }
  lua_setfield(L, -2, name);
}

int kad_lua_node_reachability(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  lua_createtable(L, 0, 2);
  set_family(L, self, 4, "ip4");
  set_family(L, self, 6, "ip6");
  return 1;
}

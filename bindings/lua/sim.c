#include "link.h"

/* What may happen to the nodes of simulated networks. */

/* Returns the handle at argument 1, of an open simulated network.
 * [-0, +0, v] */
static struct kad_lua_network *check_sim(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  luaL_argcheck(L, self->simulated, 1, "a simulated network is needed");
  return self;
}

/* Returns the open node at argument 2, which must be one of the network's.
 * [-0, +0, v] */
static struct kad_node *check_member(lua_State *L,
                                     const struct kad_lua_network *self) {
  const struct kad_lua_node *const node = kad_lua_check_node(L, 2);
  luaL_argcheck(L, node->link->network == self->link->network, 2,
                "this node is of another network");
  return node->link->node;
}

/* Raises unless `status` is 0. [-0, +0, v] */
static void check_status(lua_State *L, int status) {
  luaL_argcheck(L, status == 0, 2, kad_error_text(status));
}

/* network:set_group(node, group) */
static int network_set_group(lua_State *L) {
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  const lua_Integer group = kad_lua_check_integer(L, 3, 0, UINT32_MAX);
  check_status(L,
               kad_sim_set_group(self->link->network, node, (uint32_t)group));
  return 0;
}

/* network:heal(): all nodes into group 0 */
static int network_heal(lua_State *L) {
  const struct kad_lua_network *const self = check_sim(L);
  return kad_sim_heal(self->link->network) == 0 ? 0 : luaL_error(L, "no sim");
}

/* network:kill(node): ends it as a crash does, no function is called */
static int network_kill(lua_State *L) {
  struct kad_lua_network *const self = check_sim(L);
  struct kad_lua_node *const node = luaL_checkudata(L, 2, KAD_LUA_NODE);
  if (node->link == NULL) {
    return 0;
  }
  (void)check_member(L, self);
  const bool running = self->running;
  self->running = true;
  kad_lua_close_node(node, true);
  self->running = running;
  kad_lua_release_node(L, 2);
  if (!running) {
    kad_lua_rethrow(L);
  }
  return 0;
}

/* network:stats() → counters by name */
static int network_stats(lua_State *L) {
  struct kad_sim_stats stats;
  const struct kad_lua_network *const self = check_sim(L);
  check_status(L, kad_sim_stats(self->link->network, &stats));
  lua_newtable(L);
#define SET_FIELD(name, text)                  \
  lua_pushinteger(L, (lua_Integer)stats.name); \
  lua_setfield(L, -2, #name);
  KAD_SIM_STATS_MAP(SET_FIELD)
#undef SET_FIELD
  return 1;
}

const luaL_Reg kad_lua_sim_methods[] = {
    {"set_group", network_set_group},
    {"heal", network_heal},
    {"kill", network_kill},
    {"stats", network_stats},
    {NULL, NULL},
};

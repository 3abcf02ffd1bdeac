#include "lua/sim.h"

#include "lua/argument.h"
#include "lua/callback.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/value.h"

/* Returns the handle of a simulated network at 1. [-0, +0, v] */
static struct kad_lua_network *check_sim(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  luaL_argcheck(L, self->simulated, 1, "a simulated network is needed");
  return self;
}

/* A simulated network and a node of it. */
struct member {
  struct kad_network *network;
  struct kad_node *node;
};

/* Returns the network at 1 and its node at 2, both open. [-0, +0, v] */
static struct member check_member(lua_State *L) {
  struct kad_network *const network = check_sim(L)->link->network;
  const struct kad_lua_node *const node = kad_lua_check_node(L, 2);
  luaL_argcheck(L, node->link->network == network, 2,
                "the node is of another network");
  return (struct member){.network = network, .node = node->link->node};
}

/* Raises unless `status` is 0. Returns 0, the number of results. [-0, +0, v] */
static int check_status(lua_State *L, int status) {
  luaL_argcheck(L, status == 0, 2, kad_error_text(status));
  return 0;
}

/* network:set_group(node, group) */
static int network_set_group(lua_State *L) {
  const struct member to = check_member(L);
  const lua_Integer group = kad_lua_check_integer(L, 3, 0, UINT32_MAX);
  return check_status(L,
                      kad_sim_set_group(to.network, to.node, (uint32_t)group));
}

/* network:heal(): all nodes into group 0 */
static int network_heal(lua_State *L) {
  const struct kad_lua_network *const self = check_sim(L);
  return kad_sim_heal(self->link->network) == 0
             ? 0
             : luaL_error(L, "not a simulated network");
}

/* network:set_bandwidth(node, bytes a second) */
static int network_set_bandwidth(lua_State *L) {
  const struct member to = check_member(L);
  const lua_Integer bytes = kad_lua_check_integer(L, 3, 0, LUA_MAXINTEGER);
  return check_status(
      L, kad_sim_set_bandwidth(to.network, to.node, (uint64_t)bytes));
}

/* network:set_clock(node, drift in ppm, seconds that its wall clock is ahead)
 */
static int network_set_clock(lua_State *L) {
  const struct member to = check_member(L);
  const lua_Integer drift = kad_lua_check_integer(L, 3, -100000, 100000);
  const lua_Integer offset =
      kad_lua_check_integer(L, 4, -3155760000, 3155760000);
  return check_status(L, kad_sim_set_clock(to.network, to.node, (int32_t)drift,
                                           (int64_t)offset));
}

/* network:suspend(node[, whether its clock stops]) */
static int network_suspend(lua_State *L) {
  const struct member to = check_member(L);
  const bool clock_stops = lua_toboolean(L, 3) != 0;
  return check_status(L, kad_sim_suspend(to.network, to.node, clock_stops));
}

static int network_resume(lua_State *L) {
  const struct member to = check_member(L);
  return check_status(L, kad_sim_resume(to.network, to.node));
}

/* network:move(node, addresses) → true, or nil, message, code */
static int network_move(lua_State *L) {
  struct kad_address listen[KAD_LUA_MAX_LISTEN];
  const struct member to = check_member(L);
  const size_t count = kad_lua_check_listen(L, 3, listen);
  const int status = kad_sim_move(to.network, to.node, listen, count);
  luaL_argcheck(L, status == 0 || status == KAD_EADDRINUSE, 3,
                "as many addresses of the same families are needed");
  return kad_lua_push_outcome(L, status);
}

/* Reads the field `outer`, an ip, of the table at argument 4. [-0, +0, v] */
static void check_outer(lua_State *L, struct kad_address *outer) {
  struct kad_slice ip;
  if (!kad_lua_field_string(L, 4, "outer", 1, 64, &ip)) {
    return;
  }
  lua_pushlstring(L, (const char *)ip.data, ip.len);
  lua_pushliteral(L, ":1");
  lua_concat(L, 2);
  luaL_argcheck(L, kad_address_parse(kad_lua_check_slice(L, -1), outer) == 0, 4,
                "field 'outer' must be an ip, such as 192.0.2.1 or [2001::1]");
  lua_pop(L, 1);
}

/* For a row of a map of kinds: its name. */
#define NAME(code, name, text) name,

/* network:set_nat(node, kind[, {idle, outer}]) → true, or nil, message, code */
static int network_set_nat(lua_State *L) {
  static const char *const kinds[] = {KAD_SIM_NAT_MAP(NAME) NULL};
  static const char *const names[] = {"idle", "outer", NULL};
  struct kad_sim_nat nat = {.kind = KAD_SIM_NAT_KIND_OPEN};
  nat.kind = (enum kad_sim_nat_kind)luaL_checkoption(L, 3, NULL, kinds);
  if (kad_lua_check_options(L, 4, names)) {
    (void)kad_lua_field_uint32(L, 4, "idle", 1, 86400, &nat.idle_s);
    check_outer(L, &nat.outer);
  }
  const struct member to = check_member(L); /* last: reading may close it */
  const int status = kad_sim_set_nat(to.network, to.node, &nat);
  if (status != KAD_EADDRINUSE) {
    check_status(L, status);
  }
  return kad_lua_push_outcome(L, status);
}

/* Reads the options at argument 4. [-0, +0, v] */
static void check_hostility(lua_State *L, struct kad_sim_hostility *how) {
  static const char *const names[] = {"key", "rate", NULL};
  const unsigned bits = kad_lua_check_node(L, 2)->bits;
  if (!kad_lua_check_options(L, 4, names)) {
    return;
  }
  (void)kad_lua_field_id(L, 4, "key", bits, &how->key);
  (void)kad_lua_field_uint32(L, 4, "rate", 1, 1000, &how->per_s);
}

/* network:set_behaviour(node, name[, {key, rate}]) */
static int network_set_behaviour(lua_State *L) {
  static const char *const names[] = {KAD_SIM_BEHAVIOUR_MAP(NAME) NULL};
  struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_HONEST};
  how.behaviour = (enum kad_sim_behaviour)luaL_checkoption(L, 3, NULL, names);
  check_hostility(L, &how);
  luaL_argcheck(L,
                how.behaviour != KAD_SIM_BEHAVIOUR_SYBIL || lua_istable(L, 4),
                4, "a sybil needs a key");
  const struct member to = check_member(L); /* last: reading may close it */
  return check_status(L, kad_sim_set_behaviour(to.network, to.node, &how));
}

/* --------------------------------------------------------------- trace -- */

/* A datagram for the function of network:trace. */
struct traced {
  const struct kad_lua_callback *callback;
  const struct kad_sim_event *event;
};

/* Calls fn(outcome, from, to, bytes). [-0, +0, e] */
static int call_trace(lua_State *L) {
  const struct traced *const traced = lua_touserdata(L, 1);
  const struct kad_sim_event *const event = traced->event;
  if (kad_lua_callback_push(L, traced->callback, true)) {
    lua_pushstring(L, kad_sim_outcome_name(event->outcome));
    kad_lua_push_address(L, event->from);
    kad_lua_push_address(L, event->to);
    kad_lua_push_slice(L, event->bytes);
    lua_call(L, 4, 0);
  }
  return 0;
}

static void datagram_traced(void *data, const struct kad_sim_event *event) {
  struct kad_lua_callback *const callback = data;
  struct traced traced = {.callback = callback, .event = event};
  if (callback->handle != NULL) {
    (void)kad_lua_context_enter(callback->context, call_trace, &traced);
  }
}

/* network:trace(fn): calls fn(outcome, from, to, bytes) for every datagram from
 * now on; nil ends the trace */
static int network_trace(lua_State *L) {
  struct kad_lua_network *const self = check_sim(L);
  struct kad_lua_callback *callback = NULL;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    callback = kad_lua_callback_new(L, 1, 2, &self->callbacks, &self->serial);
  }
  struct kad_lua_callback *const before =
      kad_lua_callback_find(L, 1, self->trace);
  check_status(L, kad_sim_set_trace(self->link->network,
                                    callback != NULL ? datagram_traced : NULL,
                                    callback));
  if (before != NULL) {
    kad_lua_callback_remove(L, 1, before);
  }
  self->trace = callback != NULL ? callback->serial : 0;
  return 0;
}

/* -------------------------------------------------------------- ending -- */

/* network:kill(node): ends the node as a crash does: no function is called */
static int network_kill(lua_State *L) {
  (void)check_sim(L);
  const struct kad_lua_node *const node = luaL_checkudata(L, 2, KAD_LUA_NODE);
  if (node->link != NULL) {
    (void)check_member(L);
    kad_lua_check_not_in_store(L, node->link);
    kad_lua_node_close(L, 2, true);
  }
  return 0;
}

/* network:stats() → counters by name */
static int network_stats(lua_State *L) {
  struct kad_sim_stats stats;
  const struct kad_lua_network *const self = check_sim(L);
  check_status(L, kad_sim_read_stats(self->link->network, &stats));
  lua_newtable(L);
#define SET_FIELD(name, text) \
  kad_lua_set_integer(L, #name, (lua_Integer)stats.name);
  KAD_SIM_STATS_MAP(SET_FIELD)
#undef SET_FIELD
  return 1;
}

const luaL_Reg kad_lua_sim_methods[] = {
    {"set_group", network_set_group},
    {"heal", network_heal},
    {"set_bandwidth", network_set_bandwidth},
    {"set_clock", network_set_clock},
    {"suspend", network_suspend},
    {"resume", network_resume},
    {"move", network_move},
    {"set_nat", network_set_nat},
    {"set_behaviour", network_set_behaviour},
    {"trace", network_trace},
    {"kill", network_kill},
    {"stats", network_stats},
    {NULL, NULL},
};

#include "lua/sim.h"

#include "kadenza_sim.h"
#include "lua/argument.h"
#include "lua/callback.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/network_handle.h"
#include "lua/node_handle.h"
#include "lua/value.h"

/* Returns the handle at argument 1, of an open simulated network.
 * [-0, +0, v] */
static struct kad_lua_network *check_sim(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  luaL_argcheck(L, self->simulated, 1, "a simulated network is needed");
  return self;
}

/* Returns the open node at argument 2, which must be in the network.
 * [-0, +0, v] */
static struct kad_node *check_member(lua_State *L,
                                     const struct kad_lua_network *self) {
  const struct kad_lua_node *const node = kad_lua_check_node(L, 2);
  luaL_argcheck(L, node->link->network == self->link->network, 2,
                "the node is of another network");
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
  return kad_sim_heal(self->link->network) == 0
             ? 0
             : luaL_error(L, "not a simulated network");
}

/* network:set_bandwidth(node, bytes a second) */
static int network_set_bandwidth(lua_State *L) {
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  const lua_Integer bytes = kad_lua_check_integer(L, 3, 0, LUA_MAXINTEGER);
  check_status(
      L, kad_sim_set_bandwidth(self->link->network, node, (uint64_t)bytes));
  return 0;
}

/* network:set_clock(node, drift in ppm, seconds by which its wall clock is
 * ahead)
 */
static int network_set_clock(lua_State *L) {
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  const lua_Integer drift = kad_lua_check_integer(L, 3, -100000, 100000);
  const lua_Integer offset =
      kad_lua_check_integer(L, 4, -3155760000, 3155760000);
  check_status(L, kad_sim_set_clock(self->link->network, node, (int32_t)drift,
                                    (int64_t)offset));
  return 0;
}

/* network:suspend(node[, whether its clock stops]) */
static int network_suspend(lua_State *L) {
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  const bool clock_stops = lua_toboolean(L, 3) != 0;
  check_status(L, kad_sim_suspend(self->link->network, node, clock_stops));
  return 0;
}

static int network_resume(lua_State *L) {
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  check_status(L, kad_sim_resume(self->link->network, node));
  return 0;
}

/* network:move(node, addresses) → true, or nil, message, code */
static int network_move(lua_State *L) {
  struct kad_address listen[KAD_LUA_MAX_LISTEN];
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  const size_t count = kad_lua_check_listen(L, 3, listen);
  const int status = kad_sim_move(self->link->network, node, listen, count);
  if (status == KAD_EADDRINUSE) {
    return kad_lua_push_error(L, status);
  }
  luaL_argcheck(L, status == 0, 3,
                "as many addresses of the same families are needed");
  lua_pushboolean(L, 1);
  return 1;
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

/* network:set_nat(node, kind[, {idle, outer}]) → true, or nil, message, code */
static int network_set_nat(lua_State *L) {
  static const char *const kinds[] = {
#define NAME(code, name, text) name,
      KAD_SIM_NAT_MAP(NAME)
#undef NAME
          NULL,
  };
  static const char *const names[] = {"idle", "outer", NULL};
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  struct kad_sim_nat nat = {.kind = KAD_SIM_NAT_KIND_OPEN};
  nat.kind = (enum kad_sim_nat_kind)luaL_checkoption(L, 3, NULL, kinds);
  if (kad_lua_check_options(L, 4, names)) {
    (void)kad_lua_field_uint32(L, 4, "idle", 1, 86400, &nat.idle_s);
    check_outer(L, &nat.outer);
  }
  const int status = kad_sim_set_nat(self->link->network, node, &nat);
  if (status == KAD_EADDRINUSE) {
    return kad_lua_push_error(L, status);
  }
  check_status(L, status);
  lua_pushboolean(L, 1);
  return 1;
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
  static const char *const names[] = {
#define NAME(code, name, text) name,
      KAD_SIM_BEHAVIOUR_MAP(NAME)
#undef NAME
          NULL,
  };
  const struct kad_lua_network *const self = check_sim(L);
  struct kad_node *const node = check_member(L, self);
  struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_HONEST};
  how.behaviour = (enum kad_sim_behaviour)luaL_checkoption(L, 3, NULL, names);
  check_hostility(L, &how);
  luaL_argcheck(L,
                how.behaviour != KAD_SIM_BEHAVIOUR_SYBIL || lua_istable(L, 4),
                4, "a sybil needs a key");
  check_status(L, kad_sim_set_behaviour(self->link->network, node, &how));
  return 0;
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
  struct kad_lua_network *const self = check_sim(L);
  struct kad_lua_node *const node = luaL_checkudata(L, 2, KAD_LUA_NODE);
  if (node->link == NULL) {
    return 0;
  }
  (void)check_member(L, self);
  const bool running = self->running;
  self->running = true;
  kad_lua_node_handle_close(node, true);
  self->running = running;
  kad_lua_node_handle_release(L, 2);
  if (!running) {
    kad_lua_context_rethrow(L);
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

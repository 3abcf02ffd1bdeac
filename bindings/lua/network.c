#include "lua/network.h"

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/node.h"
#include "lua/sim.h"
#include "lua/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Returns the network at argument 1. [-0, +0, v] */
static struct kad_network *check_open(lua_State *L) {
  return kad_lua_check_network(L, 1)->link->network;
}

/* -------------------------------------------------------------- methods -- */

/* network:now() → seconds of its clock */
static int network_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)kad_network_now(check_open(L)) / 1000.0);
  return 1;
}

/* network:time() → whole seconds since 1970 UTC */
static int network_time(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)kad_network_wall_clock(check_open(L)));
  return 1;
}

/* network:random(count) → `count` random bytes */
static int network_random(lua_State *L) {
  luaL_Buffer buffer;
  struct kad_network *const network = check_open(L);
  const size_t len = (size_t)kad_lua_check_integer(L, 2, 0, 65536);
  char *const bytes = luaL_buffinitsize(L, &buffer, len);
  kad_network_random(network, (uint8_t *)bytes, len);
  luaL_pushresultsize(&buffer, len);
  return 1;
}

/* Returns the handle at 1; raises while its network is run. [-0, +0, v] */
static struct kad_lua_network *check_idle(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  if (self->running) {
    luaL_error(L, "the network is being run");
  }
  kad_lua_check_not_in_store(L, self->link);
  return self;
}

/* Runs the network at 1: one step, or for the milliseconds at 2, by default
 * without end. The error of a callback stops the run, and is raised after it.
 * [-0, +0, v] */
static int run_network(lua_State *L, bool one_step) {
  struct kad_lua_network *const self = check_idle(L);
  struct kad_network *const network = self->link->network;
  struct kad_network *const outer = self->context->running;
  kad_time_ms duration_ms = KAD_TIME_NEVER;
  if (!one_step && !lua_isnoneornil(L, 2)) {
    duration_ms = (kad_time_ms)kad_lua_check_integer(L, 2, 0, KAD_LUA_MAX_MS);
  }
  self->context->running = one_step ? NULL : network;
  self->running = true;
  if (one_step) {
    kad_network_step(network);
  } else {
    kad_network_run(network, duration_ms);
  }
  self->running = false;
  self->context->running = outer;
  kad_lua_context_collect(L);
  kad_lua_context_rethrow(L);
  return 0;
}

/* network:run([ms]) */
static int network_run(lua_State *L) {
  return run_network(L, false);
}

/* network:step() */
static int network_step(lua_State *L) {
  return run_network(L, true);
}

static int network_stop(lua_State *L) {
  kad_network_stop(check_open(L));
  return 0;
}

/* Pushes an integer; nil if it is negative. Returns 1. [-0, +1, -] */
static int push_unless_negative(lua_State *L, int value) {
  if (value < 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, value);
  }
  return 1;
}

/* network:fd() → file descriptor, or nil */
static int network_fd(lua_State *L) {
  return push_unless_negative(L, kad_network_fd(check_open(L)));
}

/* network:timeout() → milliseconds until there is work, or nil */
static int network_timeout(lua_State *L) {
  return push_unless_negative(L, kad_network_timeout(check_open(L)));
}

/* network:trace_hash() → hexadecimal text */
static int network_trace_hash(lua_State *L) {
  char text[17];
  (void)snprintf(text, sizeof text, "%016" PRIx64,
                 kad_network_trace_hash(check_open(L)));
  lua_pushstring(L, text);
  return 1;
}

static int network_is_simulated(lua_State *L) {
  lua_pushboolean(L, kad_lua_network_handle(L, 1)->simulated);
  return 1;
}

static int network_is_open(lua_State *L) {
  const struct kad_lua_network *const self = kad_lua_network_handle(L, 1);
  lua_pushboolean(L, self->link != NULL && self->link->network != NULL);
  return 1;
}

/* -------------------------------------------------------------- ending -- */

/* Closes every node of the network handle at argument 1. Functions that are
 * called may remove closed nodes from the table, but add none. [-0, +0, m] */
static void close_nodes(lua_State *L, struct kad_lua_network *self,
                        bool silently) {
  luaL_checkstack(L, 4, NULL);
  self->running = true;
  self->closing = true;
  lua_getiuservalue(L, 1, KAD_LUA_NETWORK_NODES);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    kad_lua_node_handle_close(L, -1, silently);
  }
  lua_pop(L, 1);
  kad_lua_link_end_dependents(L, self->link, true);
  self->running = false;
}

/* Stops all timers that were started through a handle. */
static void stop_timers(struct kad_lua_network *self,
                        struct kad_network *network) {
  struct kad_lua_callback *callback = self->callbacks;
  while (callback != NULL) {
    struct kad_lua_callback *const next = callback->next;
    if (callback->id != 0 &&
        kad_network_stop_timer(network, callback->id) == 0) {
      kad_lua_callback_free(callback);
    }
    callback = next;
  }
}

/* Closes an owning handle. The network forgets signals, and names that are
 * being resolved, without calling back: their callbacks are freed after it. */
static void close_owner(struct kad_lua_network *self) {
  struct kad_lua_link *const link = self->link;
  struct kad_network *const network = link->network;
  self->link = NULL;
  link->network = NULL;
  stop_timers(self, network);
  kad_lua_callback_orphan(self->callbacks);
  self->running = true;
  kad_network_free(network);
  self->running = false;
  kad_lua_callback_free_all(&self->callbacks);
  kad_lua_callback_free_all(&link->orphans);
  kad_lua_link_release(link);
}

/* Closes a borrowed handle: its timers are stopped, its other callbacks lose
 * their handle. If the network is closed, none of them will be called. */
static void close_borrowed(struct kad_lua_network *self) {
  struct kad_lua_link *const link = self->link;
  self->link = NULL;
  if (link->network != NULL) {
    stop_timers(self, link->network);
    kad_lua_callback_orphan(self->callbacks);
    kad_lua_callback_move(&self->callbacks, &link->orphans);
  } else {
    kad_lua_callback_free_all(&self->callbacks);
  }
  kad_lua_link_release(link);
}

static int network_gc(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_network_handle(L, 1);
  if (self->link == NULL) {
    return 0;
  }
  if (self->borrowed) {
    close_borrowed(self);
    return 0;
  }
  if (self->running || self->link->in_store > 0) {
    /* The state is closed inside a callback: the network is not freed. */
    kad_lua_link_release(self->link);
    self->link = NULL;
    return 0;
  }
  close_nodes(L, self, true);
  close_owner(self);
  return 0;
}

/* network:close(): closes the nodes, stops the timers and frees the network.
 * Operations end with KAD_ECLOSED. */
static int network_close(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_network_handle(L, 1);
  if (self->link == NULL) {
    return 0;
  }
  (void)check_idle(L);
  close_nodes(L, self, false);
  close_owner(self);
  kad_lua_context_rethrow(L);
  return 0;
}

static int network_tostring(lua_State *L) {
  const struct kad_lua_network *const self = kad_lua_network_handle(L, 1);
  const bool open = self->link != NULL && self->link->network != NULL;
  lua_pushfstring(L, "kadenza.Network (%s)",
                  !open             ? "closed"
                  : self->simulated ? "simulated"
                                    : "udp");
  return 1;
}

/* -------------------------------------------------------- construction -- */

static const luaL_Reg shared_methods[] = {
    {"now", network_now},         {"time", network_time},
    {"random", network_random},   {"is_simulated", network_is_simulated},
    {"is_open", network_is_open}, {NULL, NULL},
};

static const luaL_Reg owner_methods[] = {
    {"run", network_run},
    {"step", network_step},
    {"stop", network_stop},
    {"fd", network_fd},
    {"timeout", network_timeout},
    {"trace_hash", network_trace_hash},
    {"on_signal", kad_lua_network_on_signal},
    {"open_node", kad_lua_node_open},
    {"close", network_close},
    {NULL, NULL},
};

static const luaL_Reg owner_meta[] = {
    {"__gc", network_gc},
    {"__close", network_close},
    {"__tostring", network_tostring},
    {NULL, NULL},
};

static const luaL_Reg borrowed_meta[] = {
    {"__gc", network_gc},
    {"__tostring", network_tostring},
    {NULL, NULL},
};

/* Pushes a closed handle. [-0, +1, m] */
static struct kad_lua_network *new_handle(lua_State *L, bool borrowed) {
  static const luaL_Reg *const methods_of_borrowed[] = {
      shared_methods, kad_lua_network_event_methods, NULL};
  static const luaL_Reg *const methods_of_owner[] = {
      shared_methods,        kad_lua_network_event_methods, owner_methods,
      kad_lua_watch_methods, kad_lua_sim_methods,           NULL};
  struct kad_lua_context *const context = kad_lua_context(L);
  struct kad_lua_network *const self =
      lua_newuserdatauv(L, sizeof *self, KAD_LUA_NETWORK_VALUES);
  *self = (struct kad_lua_network){.context = context, .borrowed = borrowed};
  lua_newtable(L);
  lua_setiuservalue(L, -2, KAD_LUA_NETWORK_CALLBACKS);
  if (borrowed) {
    kad_lua_push_metatable(L, KAD_LUA_NETWORK_BORROWED, methods_of_borrowed,
                           borrowed_meta);
  } else {
    lua_newtable(L);
    lua_setiuservalue(L, -2, KAD_LUA_NETWORK_NODES);
    kad_lua_push_metatable(L, KAD_LUA_NETWORK, methods_of_owner, owner_meta);
  }
  lua_setmetatable(L, -2);
  kad_lua_context_register_handle(L);
  return self;
}

struct kad_lua_network *kad_lua_network_borrow(
    lua_State *L, const struct kad_lua_network *owner) {
  struct kad_lua_network *const self = new_handle(L, true);
  self->simulated = owner->simulated;
  self->link = kad_lua_link_share(owner->link);
  return self;
}

/* Pushes a network, on UDP if `config` is NULL; or why not. [-0, +1|3, m] */
static int open_network(lua_State *L, const struct kad_sim_config *config) {
  struct kad_lua_network *const self = new_handle(L, false);
  const struct kad_allocator allocator =
      kad_lua_context_allocator(self->context);
  struct kad_lua_link *const link = kad_lua_link_new();
  int status = KAD_ENOMEM;
  if (link != NULL && config != NULL) {
    status = kad_network_sim_new(config, allocator, &link->network);
  } else if (link != NULL) {
    status = kad_network_udp_new(allocator, &link->network);
  }
  const int number = errno; /* if a system call failed */
  if (status != 0) {
    kad_lua_link_release(link);
    return status != KAD_ESYSTEM
               ? kad_lua_push_error(L, status)
               : kad_lua_push_system_failure(L, status, "event loop",
                                             "pipe or epoll_create", number);
  }
  self->link = link;
  self->simulated = config != NULL;
  kad_lua_context_collect(L);
  return 1;
}

/* udp() → network, or nil, message, code */
static int open_udp(lua_State *L) {
  return open_network(L, NULL);
}

/* sim { seed, latency, loss, … } → network, or nil, message, code */
static int open_sim(lua_State *L) {
  struct kad_sim_config config;
  struct kad_sim_quantile quantiles[KAD_SIM_QUANTILES_MAX];
  kad_lua_sim_config_check(L, &config, quantiles);
  return open_network(L, &config);
}

void kad_lua_add_network(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"udp", open_udp},
      {"sim", open_sim},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}

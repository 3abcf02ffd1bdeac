#include "lua/link.h"
#include "lua/pending.h"

#include <signal.h>

/* What a network calls back for: timers, names, signals. */

/* Calls the function of a timer or signal. [-0, +0, e] */
static int call_plainly(lua_State *L, bool keep) {
  if (kad_lua_pending_push(L, lua_touserdata(L, 1), keep)) {
    lua_call(L, 0, 0);
  }
  return 0;
}

static int call_timer(lua_State *L) {
  return call_plainly(L, false);
}

static int call_signal(lua_State *L) {
  return call_plainly(L, true);
}

static void timer_fired(void *data) {
  struct kad_lua_pending *const pending = data;
  kad_lua_pending_unlink(pending);
  (void)kad_lua_enter(pending->context, call_timer, pending);
  kad_lua_pending_free(pending);
}

static void signal_came(void *data) {
  struct kad_lua_pending *const pending = data;
  if (pending->handle != NULL) {
    (void)kad_lua_enter(pending->context, call_signal, pending);
  }
}

struct found {
  struct kad_lua_pending *pending;
  int status;
  const struct kad_address *addresses;
  size_t count;
};

static int call_found(lua_State *L) {
  const struct found *const found = lua_touserdata(L, 1);
  if (!kad_lua_pending_push(L, found->pending, false)) {
    return 0;
  }
  if (found->status != 0) {
    lua_call(L, kad_lua_push_error(L, found->status), 0);
    return 0;
  }
  lua_createtable(L, (int)found->count, 0);
  for (size_t i = 0; i < found->count; i++) {
    kad_lua_push_address(L, &found->addresses[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_call(L, 1, 0);
  return 0;
}

static void name_resolved(void *data, int status,
                          const struct kad_address *addresses, size_t count) {
  struct kad_lua_pending *const pending = data;
  struct found found = {
      .pending = pending,
      .status = status,
      .addresses = addresses,
      .count = count,
  };
  kad_lua_pending_unlink(pending);
  if (pending->handle != NULL) {
    (void)kad_lua_enter(pending->context, call_found, &found);
  }
  kad_lua_pending_free(pending);
}

/* network:start_timer(ms, fn) → timer */
static int network_start_timer(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  const lua_Integer delay_ms = kad_lua_check_integer(L, 2, 0, KAD_LUA_MAX_MS);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  struct kad_lua_pending *const pending =
      kad_lua_pending_new(L, 1, 3, &self->pending, &self->serial);
  const int status =
      kad_network_start_timer(self->link->network, (kad_time_ms)delay_ms,
                              timer_fired, pending, &pending->name);
  if (status != 0) {
    kad_lua_pending_drop(L, 1, pending);
    return luaL_error(L, "%s", kad_error_text(status));
  }
  lua_pushinteger(L, pending->serial);
  return 1;
}

/* network:stop_timer(timer) → whether it was still to fire */
static int network_stop_timer(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  struct kad_lua_pending *const pending =
      kad_lua_pending_find(L, 1, luaL_checkinteger(L, 2));
  const bool stopped =
      pending != NULL && pending->name != 0 &&
      kad_network_stop_timer(self->link->network, pending->name) == 0;
  if (stopped) {
    kad_lua_pending_drop(L, 1, pending);
  }
  lua_pushboolean(L, stopped);
  return 1;
}

/* network:resolve("host:port", fn) → true, or nil, message, code */
static int network_resolve(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  const struct kad_slice text = kad_lua_check_slice(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  struct kad_lua_pending *const pending =
      kad_lua_pending_new(L, 1, 3, &self->pending, &self->serial);
  const int status =
      kad_network_resolve(self->link->network, text, name_resolved, pending);
  if (status != 0) {
    kad_lua_pending_drop(L, 1, pending);
    return kad_lua_push_error(L, status);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Puts the function at argument 3 in the place of an earlier one. [-0, +0, m]
 */
static void replace_function(lua_State *L, lua_Integer serial) {
  lua_getiuservalue(L, 1, KAD_LUA_NETWORK_CALLBACKS);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, serial);
  lua_pop(L, 1);
}

/* Begins to listen to a signal. Returns 0 or an error. [-0, +0, m] */
static int listen_to_signal(lua_State *L, struct kad_lua_network *self,
                            int signal, lua_Integer *serial) {
  static const int numbers[KAD_LUA_SIGNALS] = {SIGINT, SIGTERM, SIGHUP,
                                               SIGUSR1};
  struct kad_lua_pending *const pending =
      kad_lua_pending_new(L, 1, 3, &self->pending, &self->serial);
  const int status = kad_network_on_signal(self->link->network, numbers[signal],
                                           signal_came, pending);
  if (status != 0) {
    kad_lua_pending_drop(L, 1, pending);
    return status;
  }
  *serial = pending->serial;
  return 0;
}

/* network:on_signal(name, fn): SIGINT, SIGTERM, SIGHUP or SIGUSR1. A signal has
 * one function, the last. */
int kad_lua_network_on_signal(lua_State *L) {
  static const char *const names[KAD_LUA_SIGNALS + 1] = {"SIGINT", "SIGTERM",
                                                         "SIGHUP", "SIGUSR1"};
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  const int signal = luaL_checkoption(L, 2, NULL, names);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_Integer *const serial = &self->signals[signal];
  int status = 0;
  if (*serial != 0) {
    replace_function(L, *serial);
  } else {
    status = listen_to_signal(L, self, signal, serial);
  }
  if (status != 0) {
    return kad_lua_push_error(L, status);
  }
  lua_pushboolean(L, 1);
  return 1;
}

const luaL_Reg kad_lua_waits[] = {
    {"start_timer", network_start_timer},
    {"stop_timer", network_stop_timer},
    {"resolve", network_resolve},
    {NULL, NULL},
};

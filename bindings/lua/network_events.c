#include "lua/argument.h"
#include "lua/error.h"
#include "lua/network.h"
#include "lua/value.h"
#include "lua/watchdog.h"

#include <signal.h>

/* Calls the function of a timer or signal. [-0, +0, e] */
static int call_without_arguments(lua_State *L, bool keep) {
  if (kad_lua_callback_push(L, lua_touserdata(L, 1), keep)) {
    lua_call(L, 0, 0);
  }
  return 0;
}

static int call_timer(lua_State *L) {
  return call_without_arguments(L, false);
}

static int call_signal(lua_State *L) {
  return call_without_arguments(L, true);
}

static void timer_fired(void *data) {
  struct kad_lua_callback *const callback = data;
  kad_lua_callback_unlink(callback);
  (void)kad_lua_context_enter(callback->context, call_timer, callback);
  kad_lua_callback_free(callback);
}

static void signal_received(void *data) {
  struct kad_lua_callback *const callback = data;
  kad_watchdog_stop_timer();
  if (callback->handle != NULL) {
    (void)kad_lua_context_enter(callback->context, call_signal, callback);
  }
}

/* The result of a name, for its function. */
struct resolution {
  struct kad_lua_callback *callback;
  int status;
  const struct kad_address *addresses;
  size_t count;
};

/* Calls fn(addresses), or fn(nil, message, code). [-0, +0, e] */
static int call_resolved(lua_State *L) {
  const struct resolution *const resolution = lua_touserdata(L, 1);
  if (!kad_lua_callback_push(L, resolution->callback, false)) {
    return 0;
  }
  if (resolution->status != 0) {
    const bool is_system = resolution->status == KAD_ESYSTEM;
    lua_call(L, kad_lua_push_error(L, is_system ? KAD_ESYSTEM : KAD_ERESOLVE),
             0);
    return 0;
  }
  kad_lua_push_addresses(L, resolution->addresses, resolution->count);
  lua_call(L, 1, 0);
  return 0;
}

static void name_resolved(void *data, int status,
                          const struct kad_address *addresses, size_t count) {
  struct kad_lua_callback *const callback = data;
  struct resolution resolution = {
      .callback = callback,
      .status = status,
      .addresses = addresses,
      .count = count,
  };
  kad_lua_callback_unlink(callback);
  if (callback->handle != NULL) {
    (void)kad_lua_context_enter(callback->context, call_resolved, &resolution);
  }
  kad_lua_callback_free(callback);
}

/* Makes a callback of the network at 1 for the function at 3. [-0, +0, v] */
static struct kad_lua_callback *new_callback(lua_State *L,
                                             struct kad_lua_network *self) {
  luaL_checktype(L, 3, LUA_TFUNCTION);
  return kad_lua_callback_new(L, 1, 3, &self->callbacks, &self->serial);
}

/* network:start_timer(ms, fn) → timer */
static int network_start_timer(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  const lua_Integer delay_ms = kad_lua_check_integer(L, 2, 0, KAD_LUA_MAX_MS);
  struct kad_lua_callback *const callback = new_callback(L, self);
  const int status =
      kad_network_start_timer(self->link->network, (kad_time_ms)delay_ms,
                              timer_fired, callback, &callback->id);
  if (status != 0) {
    kad_lua_callback_remove(L, 1, callback);
    return luaL_error(L, "%s", kad_error_text(status));
  }
  lua_pushinteger(L, callback->serial);
  return 1;
}

/* network:stop_timer(timer) → whether it had not fired yet. A closed network
 * has no timers: what waited for one may end after it. */
static int network_stop_timer(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_network_handle(L, 1);
  const lua_Integer timer = luaL_checkinteger(L, 2);
  const bool is_open = self->link != NULL && self->link->network != NULL;
  struct kad_lua_callback *const callback =
      is_open ? kad_lua_callback_find(L, 1, timer) : NULL;
  const bool stopped =
      callback != NULL && callback->id != 0 &&
      kad_network_stop_timer(self->link->network, callback->id) == 0;
  if (stopped) {
    kad_lua_callback_remove(L, 1, callback);
  }
  lua_pushboolean(L, stopped);
  return 1;
}

/* network:resolve("host:port", fn) → true, or nil, message, code */
static int network_resolve(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  const struct kad_slice text = kad_lua_check_slice(L, 2);
  struct kad_lua_callback *const callback = new_callback(L, self);
  const int status =
      kad_network_resolve(self->link->network, text, name_resolved, callback);
  if (status != 0) {
    kad_lua_callback_remove(L, 1, callback);
  }
  return kad_lua_push_outcome(L, status);
}

/* Begins to listen to a signal. Returns 0 or an error. [-0, +0, m] */
static int listen_to_signal(lua_State *L, struct kad_lua_network *self,
                            int signal, lua_Integer *serial) {
  static const int numbers[KAD_LUA_SIGNALS] = {SIGINT, SIGTERM, SIGHUP,
                                               SIGUSR1};
  struct kad_lua_callback *const callback = new_callback(L, self);
  const int status = kad_network_on_signal(self->link->network, numbers[signal],
                                           signal_received, callback);
  if (status != 0) {
    kad_lua_callback_remove(L, 1, callback);
  } else {
    *serial = callback->serial;
  }
  return status;
}

/* network:on_signal(name, fn) → true, or nil, message, code: calls fn() at
 * SIGINT, SIGTERM, SIGHUP or SIGUSR1. A signal has one function, the last. */
int kad_lua_network_on_signal(lua_State *L) {
  static const char *const names[KAD_LUA_SIGNALS + 1] = {"SIGINT", "SIGTERM",
                                                         "SIGHUP", "SIGUSR1"};
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  const int signal = luaL_checkoption(L, 2, NULL, names);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_Integer *const serial = &self->signals[signal];
  if (*serial == 0) {
    return kad_lua_push_outcome(L, listen_to_signal(L, self, signal, serial));
  }
  lua_getiuservalue(L, 1, KAD_LUA_NETWORK_CALLBACKS);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, *serial); /* replaces its function */
  return kad_lua_push_outcome(L, 0);
}

const luaL_Reg kad_lua_network_event_methods[] = {
    {"start_timer", network_start_timer},
    {"stop_timer", network_stop_timer},
    {"resolve", network_resolve},
    {NULL, NULL},
};

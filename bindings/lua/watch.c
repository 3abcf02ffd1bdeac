/* Tested by tests/spec/watch_spec.lua. */
#include "lua/watch.h"

#include "kadenza_watch.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/network.h"

#include <assert.h>
#include <limits.h>

/* What `call_ready` is called with. */
struct readiness {
  struct kad_lua_callback *callback;
  unsigned events;
};

/* Reads "r", "w", "rw", or "" for nothing. [-0, +0, v] */
static unsigned check_mode(lua_State *L, int arg) {
  static const char *const modes[] = {"", "r", "w", "rw", NULL};
  return (unsigned)luaL_checkoption(L, arg, NULL, modes);
}

static_assert(KAD_WATCH_READ == 1 && KAD_WATCH_WRITE == 2,
              "the number of a mode is its events");

/* Calls fn(readable, writable). [-0, +0, e] */
static int call_ready(lua_State *L) {
  const struct readiness *const readiness = lua_touserdata(L, 1);
  if (kad_lua_callback_push(L, readiness->callback, true)) {
    lua_pushboolean(L, (readiness->events & KAD_WATCH_READ) != 0);
    lua_pushboolean(L, (readiness->events & KAD_WATCH_WRITE) != 0);
    lua_call(L, 2, 0);
  }
  return 0;
}

static void descriptor_ready(void *data, unsigned events) {
  struct kad_lua_callback *const callback = data;
  struct readiness readiness = {.callback = callback, .events = events};
  if (callback->handle != NULL) {
    (void)kad_lua_context_enter(callback->context, call_ready, &readiness);
  }
}

/* network:watch(fd, mode, fn) → the number of the watch, or nil, message,
 * code */
static int network_watch(lua_State *L) {
  struct kad_lua_network *const self = kad_lua_check_network(L, 1);
  const int fd = (int)kad_lua_check_integer(L, 2, 0, INT_MAX);
  const unsigned events = check_mode(L, 3);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  struct kad_lua_callback *const callback =
      kad_lua_callback_new(L, 1, 4, &self->callbacks, &self->serial);
  const int status =
      kad_network_watch(self->link->network, fd, events, descriptor_ready,
                        callback, &callback->watch);
  if (status != 0) {
    kad_lua_callback_remove(L, 1, callback);
    return kad_lua_push_error(L, status);
  }
  lua_pushinteger(L, callback->serial);
  return 1;
}

/* Returns the callback of the watch at 2, or NULL if it has ended.
 * [-0, +0, v] */
static struct kad_lua_callback *find_watch(lua_State *L) {
  const struct kad_lua_network *const self = kad_lua_network_handle(L, 1);
  const lua_Integer number = luaL_checkinteger(L, 2);
  struct kad_lua_callback *const callback =
      self->link != NULL && self->link->network != NULL
          ? kad_lua_callback_find(L, 1, number)
          : NULL;
  return callback != NULL && callback->watch != NULL ? callback : NULL;
}

/* network:change_watch(watch, mode) → whether it could be changed */
static int network_change_watch(lua_State *L) {
  const unsigned events = check_mode(L, 3);
  const struct kad_lua_callback *const callback = find_watch(L);
  lua_pushboolean(L, callback != NULL &&
                         kad_watch_change(callback->watch, events) == 0);
  return 1;
}

/* network:end_watch(watch) → whether it had not ended */
static int network_end_watch(lua_State *L) {
  struct kad_lua_callback *const callback = find_watch(L);
  if (callback != NULL) {
    kad_watch_end(callback->watch);
    kad_lua_callback_remove(L, 1, callback);
  }
  lua_pushboolean(L, callback != NULL);
  return 1;
}

const luaL_Reg kad_lua_watch_methods[] = {
    {"watch", network_watch},
    {"change_watch", network_change_watch},
    {"end_watch", network_end_watch},
    {NULL, NULL},
};

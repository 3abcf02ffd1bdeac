#include "policy/vm_log.h"

#include <stdio.h>

enum {
  WINDOW_MS = 10000,
  WINDOW_LINES = 200,
  VALUE_MAX = 2000 /* bytes of each part of a line */
};

/* The scheduler reports the errors of tasks in Lua; few reach this. */
void kad_vm_report_error(lua_State *L, int status) {
  const char *const text = lua_tostring(L, -1);
  if (status != LUA_ERRMEM) {
    fprintf(stderr, "kadenza: a policy failed: %s\n",
            text != NULL ? text : "an error that is not a string");
  }
}

/* A line of the log on its way to the parent. */
struct log_line {
  lua_State *vm;
  const struct kad_host *host;
};

/* Calls the log of the parent. [-0, +0, e] */
static int call_log(lua_State *L) {
  const struct log_line *const line = lua_touserdata(L, 1);
  const int count = lua_gettop(line->vm);
  luaL_checkstack(L, count + 1, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &line->host->keys.log) !=
      LUA_TFUNCTION) {
    return 0;
  }
  for (int i = 1; i <= count; i++) {
    size_t len = 0;
    const char *const text = lua_tolstring(line->vm, i, &len);
    len = len < VALUE_MAX ? len : VALUE_MAX;
    lua_pushlstring(L, text != NULL ? text : "?", text != NULL ? len : 1);
  }
  lua_call(L, count, 0);
  return 0;
}

/* Counts a line. Returns false when there were too many in this window. */
static bool may_log(struct kad_host *host) {
  const kad_time_ms now = kad_host_now(host);
  if (now - host->log_since >= WINDOW_MS) {
    host->log_since = now;
    host->log_lines = 0;
  }
  return host->log_lines++ < WINDOW_LINES;
}

int kad_vm_log(lua_State *L) {
  struct kad_host *const host = kad_lua_context(L)->host;
  struct log_line line = {.vm = L, .host = host};
  if (may_log(host)) {
    (void)kad_lua_protect(host->parent, call_log, &line, kad_vm_report_error);
  } else {
    host->log_dropped++;
  }
  return 0;
}

/* Writes to the log of the parent that the host is stopped. [-0, +0, e] */
static int log_stopped(lua_State *L) {
  const struct kad_host *const host = lua_touserdata(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &host->keys.log) == LUA_TFUNCTION) {
    lua_pushliteral(L, "error");
    lua_pushliteral(L, "the policies are out of memory too often: they are "
                       "stopped until they are reloaded");
    lua_call(L, 2, 0);
  }
  return 0;
}

void kad_vm_log_stopped(struct kad_host *host) {
  (void)kad_lua_protect(host->parent, log_stopped, host, kad_vm_report_error);
}

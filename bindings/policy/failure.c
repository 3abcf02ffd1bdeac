/* failure.c: what becomes of a hook that fails: it is counted and said, and one
 * that keeps failing is left out for a while. */
#include "policy/hook.h"

enum {
  TEXT_MAX = 2000 /* bytes that are said of an error */
};

void kad_hook_push_function(lua_State *L, const struct kad_host *host,
                            const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, host);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

void kad_hook_ignore(lua_State *L, int status) {
  (void)L;
  (void)status;
}

/* Counts a failure, and opens the breaker when there were too many. Returns
 * true if it is to be said now. */
static bool count_failure(struct kad_lua_hook *hook, kad_time_ms now) {
  hook->errors++;
  if (now - hook->window_from >= KAD_BREAKER_WINDOW_MS) {
    hook->window_from = now;
    hook->recent = 0;
  }
  if (!hook->steady && ++hook->recent >= KAD_BREAKER_FAILURES) {
    hook->open_until = now + KAD_BREAKER_OPEN_MS;
    hook->recent = 0;
    return true;
  }
  if (hook->said_at != 0 && now - hook->said_at < KAD_REPORT_EVERY_MS) {
    hook->unsaid++;
    return false;
  }
  return true;
}

/* Leaves in the registry what the error value at the top of the thread says of
 * itself, a string. [-0, +0, e] */
static int describe_body(lua_State *L) {
  const struct kad_failure *const failure = lua_touserdata(L, 1);
  luaL_checkstack(failure->thread, 5, NULL);
  lua_pushvalue(failure->thread, -1);
  lua_xmove(failure->thread, L, 1);
  luaL_tolstring(L, -1, NULL);
  lua_rawsetp(L, LUA_REGISTRYINDEX, failure->hook);
  return 0;
}

/* Pushes the text of an error. One that is no string may have a __tostring,
 * which is a script's as the hook was: it has an entry of its own.
 * [-0, +1, m] */
static void push_error(lua_State *L, const struct kad_failure *failure) {
  struct kad_meter *const meter = failure->hook->host->meter;
  struct kad_meter_entry entry;
  if (lua_type(failure->thread, -1) == LUA_TSTRING) {
    size_t len = 0;
    const char *const text = lua_tolstring(failure->thread, -1, &len);
    lua_pushlstring(L, text, len < TEXT_MAX ? len : TEXT_MAX);
    return;
  }
  lua_State *const shown = lua_newthread(L);
  kad_meter_enter(shown, meter, &entry);
  const int status =
      kad_lua_protect(shown, describe_body, (void *)failure, kad_hook_ignore);
  kad_meter_leave(meter);
  lua_pop(L, 1);
  if (status == LUA_OK) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, failure->hook);
  } else {
    lua_pushliteral(L, "an error that cannot be shown");
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, failure->hook);
}

void kad_hook_push_place(lua_State *L, const struct kad_lua_hook *hook) {
  const lua_Integer number = hook - hook->host->hooks + 1;
  lua_Debug at;
  kad_hook_push_function(L, hook->host, "places");
  const int type = lua_rawgeti(L, -1, number);
  lua_remove(L, -2);
  if (type == LUA_TSTRING) { /* of several policies */
    return;
  }
  lua_pop(L, 1);
  kad_hook_push_function(L, hook->host, "hooks");
  lua_rawgeti(L, -1, number);
  lua_remove(L, -2);
  if (!lua_isfunction(L, -1)) {
    return;
  }
  lua_getinfo(L, ">S", &at);
  lua_pushfstring(L, "%s:%d", at.short_src, at.linedefined);
}

/* Calls report(name, message, place, unsaid, breaker is open). [-0, +0, e] */
static int report_body(lua_State *L) {
  const struct kad_failure *const failure = lua_touserdata(L, 1);
  const struct kad_lua_hook *const hook = failure->hook;
  lua_Debug at;
  kad_hook_push_function(L, hook->host, "report");
  lua_pushstring(L, hook->name);
  if (failure->thread != NULL) {
    if (failure->killed != NULL) {
      kad_meter_push_reason(L, hook->host->meter, failure->killed);
    } else {
      push_error(L, failure);
    }
    if (lua_getstack(failure->thread, 0, &at)) { /* else it has returned */
      luaL_traceback(L, failure->thread, lua_tostring(L, -1), 0);
      lua_remove(L, -2);
    }
  } else {
    lua_pushstring(L, failure->text);
  }
  kad_hook_push_place(L, hook);
  lua_pushinteger(L, (lua_Integer)hook->unsaid);
  lua_pushboolean(L, hook->open_until > hook->said_at);
  lua_call(L, 5, 0);
  return 0;
}

void kad_hook_report(struct kad_failure failure) {
  struct kad_lua_hook *const hook = failure.hook;
  struct kad_host *const host = hook->host;
  const kad_time_ms now = kad_hook_now(host);
  if (count_failure(hook, now)) {
    hook->said_at = now > 0 ? now : 1;
    (void)kad_lua_protect(host->L, report_body, &failure, kad_hook_ignore);
    hook->unsaid = 0;
  }
}

void kad_hook_fail(struct kad_lua_hook *hook, const char *text) {
  kad_hook_report((struct kad_failure){
      .hook = hook,
      .text = text != NULL ? text : "an error that cannot be shown",
  });
}

bool kad_hook_is_suspended(struct kad_lua_hook *hook) {
  if (hook->open_until == 0) {
    return false;
  }
  if (kad_hook_now(hook->host) < hook->open_until) {
    return true;
  }
  hook->open_until = 0;
  return false;
}

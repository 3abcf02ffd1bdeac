#include "lua/shown.h"
#include "lua/value.h"
#include "policy/hook.h"

#include <string.h>

enum {
  TEXT_MAX = 2000 /* bytes of an error that are reported */
};

static const char no_text[] = "an error that cannot be shown";

/* Counts a failure, and opens the breaker if there were too many. Returns
 * whether the failure is to be reported now. */
static bool count_failure(struct kad_hook *hook, kad_time_ms now) {
  hook->errors++;
  if (hook->open_until > now) { /* the call was pending when it opened */
    hook->unreported++;
    return false;
  }
  if (now - hook->window_start >= KAD_BREAKER_WINDOW_MS) {
    hook->window_start = now;
    hook->recent_failures = 0;
  }
  if (!hook->breaker_disabled &&
      ++hook->recent_failures >= KAD_BREAKER_FAILURES) {
    hook->open_until = now + KAD_BREAKER_OPEN_MS;
    hook->recent_failures = 0;
    return true;
  }
  if (hook->reported_at != 0 && now - hook->reported_at < KAD_REPORT_EVERY_MS) {
    hook->unreported++;
    return false;
  }
  return true;
}

/* Pushes the text of the error at the top, as errors.text_of: the text of a
 * table has no address, so that equal failures have equal texts. [-0, +1, e] */
static void push_shown_error(lua_State *L) {
  const int type = lua_type(L, -1);
  const int top = lua_gettop(L);
  if ((type != LUA_TNIL && type < LUA_TTABLE) ||
      luaL_getmetafield(L, -1, "__tostring") != LUA_TNIL) {
    lua_settop(L, top);
    luaL_tolstring(L, -1, NULL);
    return;
  }
  if (luaL_getmetafield(L, -1, "__name") != LUA_TSTRING) {
    lua_pushstring(L, lua_typename(L, type));
  }
  lua_pushfstring(L, "an error that is no text: %s", lua_tostring(L, -1));
}

/* Leaves the error value at the top of the thread as text. [-0, +0, e] */
static int leave_error_text(lua_State *L) {
  const struct kad_hook_failure *const failure = lua_touserdata(L, 1);
  luaL_checkstack(failure->thread, 5, NULL);
  lua_pushvalue(failure->thread, -1);
  lua_xmove(failure->thread, L, 1);
  push_shown_error(L);
  kad_host_set_text(L, failure->hook->host);
  return 0;
}

/* Pushes the text of an error. A value that is not a string may have a
 * __tostring, which is code of a script: it runs as an entry of the meter.
 * [-0, +1, m] */
static void push_error_text(lua_State *L,
                            const struct kad_hook_failure *failure) {
  const struct kad_host *const host = failure->hook->host;
  struct kad_meter_entry entry;
  if (lua_type(failure->thread, -1) == LUA_TSTRING) {
    size_t len = 0;
    const char *const text = lua_tolstring(failure->thread, -1, &len);
    lua_pushlstring(L, text, kad_lua_cut_text(text, len, TEXT_MAX));
    return;
  }
  lua_State *const thread = lua_newthread(L);
  kad_meter_enter(thread, host->meter, &entry);
  const int status = kad_lua_protect(thread, leave_error_text, (void *)failure,
                                     kad_host_ignore_error);
  kad_meter_leave(host->meter);
  lua_pop(L, 1);
  if (status == LUA_OK) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &host->keys.text);
  } else {
    lua_pushstring(L, no_text);
  }
  lua_pushnil(L);
  kad_host_set_text(L, host);
}

/* Pushes the text of a failure, with a traceback while its function has not
 * returned. [-0, +1, m] */
static void push_message(lua_State *L, const struct kad_hook_failure *failure) {
  lua_Debug at;
  if (failure->thread == NULL) {
    lua_pushlstring(L, failure->text, failure->len);
    return;
  }
  if (failure->killed != NULL) {
    kad_meter_push_reason(L, failure->hook->host->meter, failure->killed);
  } else {
    push_error_text(L, failure);
  }
  if (lua_getstack(failure->thread, 0, &at)) {
    kad_lua_add_traceback(L, failure->thread, 0);
  }
}

/* Calls report(name, message, place, unreported, is open). [-0, +0, e] */
static int call_report(lua_State *L) {
  const struct kad_hook_failure *const failure = lua_touserdata(L, 1);
  const struct kad_hook *const hook = failure->hook;
  kad_host_push_field(L, hook->host, "report");
  lua_pushstring(L, hook->name);
  push_message(L, failure);
  kad_hook_push_place(L, hook);
  lua_pushinteger(L, (lua_Integer)hook->unreported);
  lua_pushboolean(L, hook->open_until > hook->reported_at);
  lua_call(L, 5, 0);
  return 0;
}

void kad_hook_failure_report(struct kad_hook_failure failure) {
  struct kad_hook *const hook = failure.hook;
  const struct kad_host *const host = hook->host;
  const kad_time_ms now = kad_host_now(host);
  if (count_failure(hook, now)) {
    hook->reported_at = now > 0 ? now : 1;
    (void)kad_lua_protect(host->L, call_report, &failure,
                          kad_host_ignore_error);
    hook->unreported = 0;
  }
}

void kad_hook_failure_report_text(struct kad_hook *hook, const char *text) {
  kad_hook_failure_report((struct kad_hook_failure){
      .hook = hook, .text = text, .len = strlen(text)});
}

void kad_hook_failure_report_error(struct kad_hook *hook, lua_State *L,
                                   int index) {
  size_t len = 0;
  const char *const text =
      lua_isstring(L, index) ? lua_tolstring(L, index, &len) : NULL;
  if (text == NULL) {
    kad_hook_failure_report_text(hook, no_text);
    return;
  }
  kad_hook_failure_report((struct kad_hook_failure){
      .hook = hook,
      .text = text,
      .len = kad_lua_cut_text(text, len, TEXT_MAX),
  });
}

bool kad_hook_failure_breaker_is_open(struct kad_hook *hook) {
  if (hook->open_until == 0) {
    return false;
  }
  if (kad_host_now(hook->host) < hook->open_until) {
    return true;
  }
  hook->open_until = 0;
  return false;
}

void kad_hook_failure_forget(struct kad_hook *hook) {
  hook->recent_failures = 0;
  hook->open_until = 0;
  hook->reported_at = 0;
  hook->unreported = 0;
}

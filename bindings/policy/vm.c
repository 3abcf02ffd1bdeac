#include "policy/vm.h"

#include "lua/value.h"
#include "policy/metered.h"

#include <lualib.h>
#include <sodium.h>

#include <stdio.h>

enum {
  FAILURES_MAX = 10, /* callbacks without memory in the window stop the host */
  FAILURES_WINDOW_MS = 10000,
  LOG_WINDOW_MS = 10000,
  LOG_LINES = 200,     /* in that window */
  LOG_VALUE_MAX = 2000 /* bytes of each part of a line */
};

/* ------------------------------------------------------------------ log -- */

/* A kad_lua_report_fn: writes errors to standard error, as the last resort; not
 * those for memory, which are counted elsewhere. The scheduler reports the
 * errors of tasks in Lua; few reach this. */
static void report_error(lua_State *L, int status) {
  const char *text = lua_tostring(L, -1);
  if (status == LUA_ERRMEM) {
    return;
  }
  text = text != NULL ? text : "an error that is not a string";
  fputs("kadenza: a policy failed: ", stderr);
  for (; *text != '\0'; text++) {
    const bool is_plain = *text >= ' ' && *text <= '~';
    fprintf(stderr, is_plain ? "%c" : "\\x%02x", (unsigned char)*text);
  }
  fputc('\n', stderr);
}

/* A line of the log on its way to the parent. */
struct log_line {
  lua_State *vm;
  const struct kad_host *host;
};

/* Pushes the value at `i` of the VM onto `L`: a number or a boolean as it is,
 * the start of a text, "?" for another. [-0, +1, m] */
static void copy_log_value(lua_State *L, lua_State *vm, int i) {
  size_t len = 0;
  const char *text = NULL;
  switch (lua_type(vm, i)) {
  case LUA_TBOOLEAN:
    lua_pushboolean(L, lua_toboolean(vm, i));
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(vm, i)) {
      lua_pushinteger(L, lua_tointeger(vm, i));
    } else {
      lua_pushnumber(L, lua_tonumber(vm, i));
    }
    break;
  case LUA_TSTRING:
    text = lua_tolstring(vm, i, &len);
    lua_pushlstring(L, text, kad_lua_cut_text(text, len, LOG_VALUE_MAX));
    break;
  default:
    lua_pushliteral(L, "?");
  }
}

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
    copy_log_value(L, line->vm, i);
  }
  lua_call(L, count, 0);
  return 0;
}

/* Counts a line. Returns false when there were too many in this window. */
static bool may_log(struct kad_host *host) {
  const kad_time_ms now = kad_host_now(host);
  if (now - host->log_since >= LOG_WINDOW_MS) {
    host->log_since = now;
    host->log_lines = 0;
  }
  return host->log_lines++ < LOG_LINES;
}

int kad_vm_log(lua_State *L) {
  struct kad_host *const host = kad_lua_context(L)->host;
  struct log_line line = {.vm = L, .host = host};
  if (may_log(host)) {
    (void)kad_lua_protect(host->parent, call_log, &line, report_error);
  } else {
    host->log_dropped++;
  }
  return 0;
}

/* Writes to the log of the parent that the host is stopped. [-0, +0, e] */
static int call_log_stopped(lua_State *L) {
  const struct kad_host *const host = lua_touserdata(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &host->keys.log) == LUA_TFUNCTION) {
    lua_pushliteral(L, "error");
    lua_pushliteral(L, "the policies are out of memory too often: they are "
                       "stopped until they are reloaded");
    lua_call(L, 2, 0);
  }
  return 0;
}

/* ---------------------------------------------------------------- state -- */

/* Counts callbacks without memory, and stops the host when there are too many:
 * scripts that fill the VM again after each collection would make the node
 * collect garbage without end. */
static void count_memory_failure(struct kad_host *host) {
  const kad_time_ms now = kad_host_now(host);
  if (now - host->memory_failures_since >= FAILURES_WINDOW_MS) {
    host->memory_failures_since = now;
    host->memory_failures = 0;
  }
  if (++host->memory_failures >= FAILURES_MAX) {
    host->stopped = true;
    (void)kad_lua_protect(host->parent, call_log_stopped, host, report_error);
  }
}

/* Runs callbacks of the core as entries of the meter. */
static int enter_metered(struct kad_lua_context *context, lua_CFunction body,
                         void *argument) {
  struct kad_host *const host = context->host;
  struct kad_meter_entry entry;
  if (host->stopped) {
    return LUA_ERRMEM;
  }
  kad_host_begin_turn(host);
  kad_meter_enter(context->main, host->meter, &entry);
  entry.is_internal = true;
  const int status =
      kad_lua_protect(context->main, body, argument, context->report);
  kad_meter_leave(host->meter);
  kad_vm_heap_end_entry(host);
  if (status == LUA_ERRMEM) {
    count_memory_failure(host);
  }
  return status;
}

/* Makes `require` find only the sources and `kadenza.core`. [-0, +0, m] */
static void confine_require(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i > 1; i--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, i);
  }
  lua_pushcfunction(L, kad_vm_module_search);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, kad_vm_module_open);
  lua_setfield(L, -2, "kadenza.core");
  lua_pop(L, 1);
}

/* What a new state is made of. */
struct vm_options {
  struct kad_host *host;
  lua_State *parent;
  int sources; /* index of the table in the parent */
};

/* Copies the sources of the parent into the registry. Only `L` may raise: the
 * parent's strings are read and not converted. [-0, +0, m] */
static void copy_sources(lua_State *L, const struct vm_options *options) {
  lua_State *const parent = options->parent;
  lua_newtable(L);
  lua_pushnil(parent);
  while (lua_next(parent, options->sources) != 0) {
    size_t len = 0;
    const char *const text = lua_tolstring(parent, -1, &len);
    lua_pushlstring(L, text, len);
    lua_setfield(L, -2, lua_tostring(parent, -2));
    lua_pop(parent, 1);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.module_sources);
}

/* Opens the libraries of the new state. [-0, +0, m] */
static int init_state(lua_State *L) {
  static const luaL_Reg libraries[] = {
      {LUA_GNAME, luaopen_base},          {LUA_LOADLIBNAME, luaopen_package},
      {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
      {LUA_STRLIBNAME, luaopen_string},   {LUA_MATHLIBNAME, luaopen_math},
      {LUA_UTF8LIBNAME, luaopen_utf8},    {NULL, NULL},
  };
  const struct vm_options *const options = lua_touserdata(L, 1);
  for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  confine_require(L);
  lua_getglobal(L, LUA_COLIBNAME);
  kad_metered_add_functions(L);
  options->host->meter = kad_meter_of(L);
  options->host->meter->is_vm = true;
  struct kad_lua_context *const context = kad_lua_context(L);
  context->host = options->host;
  context->enter = enter_metered;
  context->report = report_error;
  copy_sources(L, options);
  return 0;
}

/* Makes a state in the memory of `host`. Lua 5.5 asks for the seed of its
 * hashes, which Lua 5.4 makes itself. */
static lua_State *new_state(struct kad_host *host) {
#if LUA_VERSION_NUM >= 505
  return lua_newstate(kad_vm_heap_allocate, host, randombytes_random());
#else
  return lua_newstate(kad_vm_heap_allocate, host);
#endif
}

int kad_vm_new(lua_State *L, int sources, struct kad_host *host) {
  struct vm_options options = {
      .host = host, .parent = L, .sources = lua_absindex(L, sources)};
  luaL_checkstack(L, 4, NULL);
  const int top = lua_gettop(L);
  lua_State *const state = new_state(host);
  if (state == NULL) {
    return KAD_ENOMEM;
  }
  host->L = state;
  host->owns_state = true;
  const int status = kad_lua_protect(state, init_state, &options, report_error);
  lua_settop(L, top);
  if (status != LUA_OK) {
    host->L = NULL;
    lua_close(state);
    return KAD_ENOMEM;
  }
  return 0;
}

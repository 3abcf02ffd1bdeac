/* vm.c: the Lua state of a node's policy files.
 *
 * It has the parts of the standard library that reach nothing outside, and
 * kadenza's own modules, given as text: nothing is read from the disk but the
 * policies themselves. Scripts see less of it: kadenza.sandbox says what. */
#include "policy/policy.h"

#include <lualib.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  SOURCE_MAX = 1048576, /* bytes of a policy file */
  READ_SIZE = 4096,     /* bytes read at a time */
  WORK_SHIFT = 4,       /* 16 bytes that are filled take an instruction */
  PACE_PARTS = 16,      /* of the memory, at which the collector's … */
  PAUSE = 200,          /* … settings change: those of Lua, … */
  STEP = 100,
  PAUSE_LARGE = 110, /* … and those of a heap over a quarter of the limit */
  STEP_LARGE = 400,
  RESERVE_PART = 16,         /* of the memory one part is kadenza's own */
  STARVED_MAX = 10,          /* callbacks without memory, within … */
  STARVED_WINDOW_MS = 10000, /* … stop the policies */
  LOG_WINDOW_MS = 10000,     /* in so long … */
  LOG_WINDOW_LINES = 200,    /* … the policies of a node log so many lines */
  LOG_VALUE_MAX = 2000       /* bytes of each part of a line */
};

static const char sources_key = 0;

/* Notes that a block is refused. Lua then collects garbage and asks again; when
 * it is refused again, the script has had its share. */
static void refuse(struct kad_host *host) {
  if (host->refused && host->meter != NULL) {
    kad_meter_starve(host->meter);
  }
  host->refused = !host->refused;
}

/* Notes that a block was refused and is given now that garbage is collected. If
 * that has left little room, each of the next ones will wait so long. */
static void grant_late(struct kad_host *host, size_t limit) {
  host->refused = false;
  if (host->meter != NULL && host->memory_used > limit / 8 * 7) {
    kad_meter_squeeze(host->meter);
  }
}

/* Returns how many bytes may be held: what keeps the scheduler going has a
 * reserve, so that scripts that take all they can take nothing from it. */
static size_t limit_now(const struct kad_host *host) {
  const struct kad_meter *const meter = host->meter;
  const bool is_script =
      meter != NULL && meter->entry != NULL && !meter->entry->own;
  return is_script ? host->memory_limit - host->memory_limit / RESERVE_PART
                   : host->memory_limit;
}

/* The allocator of VMs: what is over the cap is refused. */
static void *allocate(void *state, void *old, size_t old_size,
                      size_t new_size) {
  struct kad_host *const host = state;
  const struct kad_allocator heap = kad_allocator_default();
  const size_t held = old != NULL ? old_size : 0;
  if (new_size > held) {
    const size_t limit = limit_now(host);
    if (host->memory_used > limit ||
        new_size - held > limit - host->memory_used) {
      refuse(host);
      return NULL;
    }
    if (host->refused) {
      grant_late(host, limit);
    }
    if (host->meter != NULL) {
      kad_meter_charge(host->meter, (new_size - held) >> WORK_SHIFT);
    }
  }
  if (old == NULL && new_size == 0) {
    return NULL;
  }
  void *const block = heap.resize(heap.state, old, held, new_size);
  if (block != NULL || new_size == 0) {
    host->memory_used = host->memory_used - held + new_size;
  }
  return block;
}

/* An error of a callback: the scheduler's own are said by Lua; this is the last
 * resort. Want of memory is counted instead. */
static void report_escaped(lua_State *L, int status) {
  const char *const text = lua_tostring(L, -1);
  if (status != LUA_ERRMEM) {
    fprintf(stderr, "kadenza: a policy failed: %s\n",
            text != NULL ? text : "an error that is no string");
  }
}

/* Tells the parent's log that the host is stopped. [-0, +0, e] */
static int say_stopped(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1)) ==
      LUA_TFUNCTION) {
    lua_pushliteral(L, "error");
    lua_pushliteral(L, "the policies are out of memory again and again: they "
                       "are stopped until they are reloaded");
    lua_call(L, 2, 0);
  }
  return 0;
}

/* Scripts that fill the VM again as soon as it is emptied would have the node
 * collect garbage for ever: they are stopped. */
static void count_starvation(struct kad_host *host) {
  const struct kad_network *const network = host->node->network;
  const kad_time_ms now = network != NULL ? kad_network_now(network) : 0;
  if (now - host->starved_since >= STARVED_WINDOW_MS) {
    host->starved_since = now;
    host->starved = 0;
  }
  if (++host->starved >= STARVED_MAX) {
    host->stopped = true;
    (void)kad_lua_protect(host->parent, say_stopped, host, report_escaped);
  }
}

void kad_vm_pace(struct kad_host *host) {
  const size_t part = host->memory_limit / PACE_PARTS;
  const unsigned pace = (unsigned)(host->memory_used / part);
  if (pace == host->pace) {
    return;
  }
  host->pace = pace;
  /* The heap may double while it is small, and grow by a tenth when it is most
   * of what there is: then the collector works harder, too. */
  const bool is_large = pace >= PACE_PARTS / 4;
  (void)lua_gc(host->L, LUA_GCINC, is_large ? PAUSE_LARGE : PAUSE,
               is_large ? STEP_LARGE : STEP, 0);
}

/* Runs callbacks of the core as entries of the meter. */
static int enter_metered(struct kad_lua_context *context, lua_CFunction body,
                         void *argument) {
  struct kad_host *const host = context->host;
  struct kad_meter_entry entry;
  if (host->stopped) {
    return LUA_ERRMEM;
  }
  if (host->node->network != NULL) {
    kad_meter_turn(host->meter, host->node->network);
  }
  kad_meter_enter(context->main, host->meter, &entry);
  entry.own = true;
  const int status =
      kad_lua_protect(context->main, body, argument, context->report);
  kad_meter_leave(host->meter);
  kad_meter_collect(context->main, host->meter);
  kad_vm_pace(host);
  if (status == LUA_ERRMEM) {
    count_starvation(host);
  }
  return status;
}

/* A searcher of `require`: the sources that the VM was given. [-0, +1|2, m] */
static int search_sources(lua_State *L) {
  const char *const name = luaL_checkstring(L, 1);
  size_t len = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sources_key);
  lua_getfield(L, -1, name);
  const char *const text = lua_tolstring(L, -1, &len);
  if (text == NULL) {
    lua_pushfstring(L, "no module '%s' for policies", name);
    return 1;
  }
  const char *const chunk = lua_pushfstring(L, "=%s", name);
  if (luaL_loadbufferx(L, text, len, chunk, "bt") != LUA_OK) {
    return lua_error(L);
  }
  lua_pushstring(L, chunk);
  return 2;
}

/* Reads a file of text into a buffer on the stack. Returns an error text, or
 * NULL. [-0, +1, m] */
static const char *read_file(lua_State *L, FILE *file) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  size_t total = 0;
  size_t got = 0;
  do {
    char *const room = luaL_prepbuffsize(&buffer, READ_SIZE);
    got = fread(room, 1, READ_SIZE, file);
    luaL_addsize(&buffer, got);
    total += got;
  } while (got > 0 && total <= SOURCE_MAX);
  luaL_pushresult(&buffer);
  if (ferror(file)) {
    return "it cannot be read";
  }
  return total > SOURCE_MAX ? "it is larger than a mebibyte" : NULL;
}

/* The file that read_source reads, closed whatever happens. */
static int close_file(lua_State *L) {
  FILE **const file = lua_touserdata(L, 1);
  if (*file != NULL) {
    fclose(*file);
    *file = NULL;
  }
  return 0;
}

/* read_source(path) → text, or nil, message */
static int read_source(lua_State *L) {
  const char *const path = luaL_checkstring(L, 1);
  FILE **const file = lua_newuserdatauv(L, sizeof(FILE *), 0);
  *file = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_file);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  *file = fopen(path, "rb");
  if (*file == NULL) {
    luaL_pushfail(L);
    lua_pushfstring(L, "%s: no such file, or it cannot be opened", path);
    return 2;
  }
  const char *const problem = read_file(L, *file);
  fclose(*file);
  *file = NULL;
  if (problem != NULL) {
    luaL_pushfail(L);
    lua_pushfstring(L, "%s: %s", path, problem);
    return 2;
  }
  return 1;
}

/* source(name) → the text of a module that the VM was given, or nil */
static int source(lua_State *L) {
  const char *const name = luaL_checkstring(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sources_key);
  lua_getfield(L, -1, name);
  return 1;
}

/* load_text(text, chunk name, environment) → function, or nil, message: text
 * only, no bytecode. */
static int load_text(lua_State *L) {
  size_t len = 0;
  const char *const text = luaL_checklstring(L, 1, &len);
  const char *const name = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  if (luaL_loadbufferx(L, text, len, name, "t") != LUA_OK) {
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushvalue(L, 3);
  lua_setupvalue(L, -2, 1);
  return 1;
}

/* freeze_strings(library): what `("x"):name()` finds. [-0, +0, m] */
static int freeze_strings(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  return 0;
}

/* Makes `require` look at the disk again, behind the modules that the VM was
 * given: path and cpath are at 1 and 2. [-0, +0, e] */
static void widen_require(lua_State *L) {
  lua_pushcfunction(L, luaopen_package);
  lua_pushliteral(L, LUA_LOADLIBNAME);
  lua_call(L, 1, 1);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "path");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "cpath");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search_sources);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, LUA_LOADLIBNAME);
  lua_pop(L, 1);
  lua_setglobal(L, LUA_LOADLIBNAME);
}

/* open_standard(path, cpath): gives the state what is kept from sandboxes, for
 * files that are trusted; the environments of the others do not show it. */
static int open_standard(lua_State *L) {
  static const luaL_Reg libraries[] = {
      {LUA_IOLIBNAME, luaopen_io},
      {LUA_OSLIBNAME, luaopen_os},
      {LUA_DBLIBNAME, luaopen_debug},
      {NULL, NULL},
  };
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  widen_require(L);
  return 0;
}

/* is_spent() → whether the entry that runs has used up its budget */
static int is_spent(lua_State *L) {
  lua_pushboolean(L, kad_meter_is_spent(kad_meter_of(L)));
  return 1;
}

/* charge(work): what a C function is about to do, in instructions */
static int charge(lua_State *L) {
  const lua_Number work = luaL_checknumber(L, 1);
  if (work > 0) {
    kad_meter_charge(kad_meter_of(L), work < 1e9 ? (uint64_t)work : 1000000000);
  }
  return 0;
}

/* has_length(table) → whether its metatable gives it a length of its own */
static int has_length(lua_State *L) {
  lua_pushboolean(L, luaL_getmetafield(L, 1, "__len") != LUA_TNIL);
  return 1;
}

/* Opens `require "kadenza.core"` of VMs: the safe part. [-0, +1, m] */
static int open_safe_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"read_source", read_source}, {"source", source},
      {"load_text", load_text},     {"freeze_strings", freeze_strings},
      {"pcall", kad_meter_pcall},   {"charge", charge},
      {"is_spent", is_spent},       {"open_standard", open_standard},
      {"has_length", has_length},   {NULL, NULL},
  };
  kad_lua_push_safe_module(L);
  luaL_setfuncs(L, functions, 0);
  lua_newtable(L);
#define ADD_ERROR(code, value, text) \
  lua_pushstring(L, text);           \
  lua_setfield(L, -2, #code);
  KAD_ERROR_MAP(ADD_ERROR)
#undef ADD_ERROR
  lua_setfield(L, -2, "errors");
  lua_pushstring(L, kad_version());
  lua_setfield(L, -2, "version");
  kad_meter_push_coroutines(L);
  lua_setfield(L, -2, "coroutine");
  return 1;
}

/* An event on its way to the parent. */
struct event {
  lua_State *vm;
  const struct kad_host *host;
};

static int log_body(lua_State *L) {
  const struct event *const event = lua_touserdata(L, 1);
  const int count = lua_gettop(event->vm);
  luaL_checkstack(L, count + 1, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, event->host) != LUA_TFUNCTION) {
    return 0;
  }
  for (int i = 1; i <= count; i++) {
    size_t len = 0;
    const char *const text = lua_tolstring(event->vm, i, &len);
    len = len < LOG_VALUE_MAX ? len : LOG_VALUE_MAX;
    lua_pushlstring(L, text != NULL ? text : "?", text != NULL ? len : 1);
  }
  lua_call(L, count, 0);
  return 0;
}

/* Counts a line of the host's policies. Returns false when they have written
 * too many in this window. */
static bool may_log(struct kad_host *host) {
  const struct kad_network *const network = host->node->network;
  const kad_time_ms now = network != NULL ? kad_network_now(network) : 0;
  if (now - host->log_since >= LOG_WINDOW_MS) {
    host->log_since = now;
    host->log_lines = 0;
  }
  return host->log_lines++ < LOG_WINDOW_LINES;
}

int kad_vm_log(lua_State *L) {
  struct kad_lua_context *const context = kad_lua_context(L);
  struct event event = {.vm = L, .host = context->host};
  if (may_log(context->host)) {
    (void)kad_lua_protect(event.host->parent, log_body, &event, report_escaped);
  } else {
    ((struct kad_host *)context->host)->log_dropped++;
  }
  return 0;
}

/* Leaves `require` the sources and what is preloaded. [-0, +0, m] */
static void confine_require(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i > 1; i--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, i);
  }
  lua_pushcfunction(L, search_sources);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_safe_core);
  lua_setfield(L, -2, "kadenza.core");
  lua_pop(L, 1);
}

/* What the new state is made of. */
struct birth {
  struct kad_host *host;
  lua_State *parent;
  int sources; /* index of the table in the parent */
};

/* Copies the sources of the parent into the registry. The parent's strings are
 * read, not changed: nothing there can raise. [-0, +0, m] */
static void copy_sources(lua_State *L, const struct birth *birth) {
  lua_State *const parent = birth->parent;
  lua_newtable(L);
  lua_pushnil(parent);
  while (lua_next(parent, birth->sources) != 0) {
    size_t len = 0;
    const char *const text = lua_tolstring(parent, -1, &len);
    lua_pushlstring(L, text, len);
    lua_setfield(L, -2, lua_tostring(parent, -2));
    lua_pop(parent, 1);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sources_key);
}

/* Fills the new state. [-0, +0, m] */
static int furnish(lua_State *L) {
  static const luaL_Reg libraries[] = {
      {LUA_GNAME, luaopen_base},          {LUA_LOADLIBNAME, luaopen_package},
      {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
      {LUA_STRLIBNAME, luaopen_string},   {LUA_MATHLIBNAME, luaopen_math},
      {LUA_UTF8LIBNAME, luaopen_utf8},    {NULL, NULL},
  };
  const struct birth *const birth = lua_touserdata(L, 1);
  for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  confine_require(L);
  lua_getglobal(L, LUA_COLIBNAME);
  kad_meter_add_functions(L);
  kad_meter_see_through(L);
  birth->host->meter = kad_meter_of(L);
  birth->host->meter->is_vm = true;
  struct kad_lua_context *const context = kad_lua_context(L);
  context->host = birth->host;
  context->enter = enter_metered;
  context->report = report_escaped;
  copy_sources(L, birth);
  return 0;
}

int kad_vm_new(lua_State *L, int sources, struct kad_host *host) {
  struct birth birth = {
      .host = host, .parent = L, .sources = lua_absindex(L, sources)};
  luaL_checkstack(L, 4, NULL);
  const int top = lua_gettop(L);
  lua_State *const state = lua_newstate(allocate, host);
  if (state == NULL) {
    return KAD_ENOMEM;
  }
  host->L = state;
  host->owns_state = true;
  const int status = kad_lua_protect(state, furnish, &birth, report_escaped);
  lua_settop(L, top);
  if (status != LUA_OK) {
    host->L = NULL;
    lua_close(state);
    return KAD_ENOMEM;
  }
  return 0;
}

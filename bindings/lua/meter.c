#include "meter.h"

#include <lauxlib.h>

#include <string.h>

static const char meter_key = 0;

struct kad_meter *kad_meter_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &meter_key);
  struct kad_meter *meter = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (meter == NULL) {
    meter = lua_newuserdatauv(L, sizeof *meter, 0);
    *meter = (struct kad_meter){.budget = KAD_METER_BUDGET};
    lua_rawsetp(L, LUA_REGISTRYINDEX, &meter_key);
  }
  return meter;
}

/* Tells whether the code that runs is kadenza's own: in a VM its modules have
 * names that no file has, elsewhere it is the scheduler that matters. What
 * matches patterns is there to be stopped. */
static bool is_own(lua_State *L, lua_Debug *at) {
  static const char module[] = "=kadenza.";
  static const char patterns[] = "=kadenza.policy.pattern";
  static const char scheduler[] = "kadenza/task.lua";
  lua_getinfo(L, "S", at);
  if (strncmp(at->source, module, sizeof module - 1) == 0) {
    return strcmp(at->source, patterns) != 0;
  }
  const size_t len = strlen(at->source);
  return len >= sizeof scheduler &&
         strcmp(at->source + len - (sizeof scheduler - 1), scheduler) == 0;
}

static void count(lua_State *L, lua_Debug *at);

static void kill_entry(struct kad_meter_entry *entry) {
  entry->killed = true;
  lua_sethook(entry->thread, count, LUA_MASKCOUNT, 1);
}

/* Tells whether an entry has had more processor time than any budget of
 * instructions stands for. It is not counted while the process is stopped, and
 * no run that stays within its budget meets it: simulations repeat. */
static bool is_over_time(struct kad_meter_entry *entry) {
  const clock_t now = clock();
  if (entry->since == 0) {
    entry->since = now;
  }
  return now - entry->since >
         (clock_t)KAD_METER_CPU_MS * (CLOCKS_PER_SEC / 1000);
}

/* The count hook. After the kill it is called at every instruction. */
static void count(lua_State *L, lua_Debug *at) {
  const struct kad_meter *const meter = kad_meter_of(L);
  struct kad_meter_entry *const entry = meter->entry;
  if (entry == NULL || entry->thread != L) {
    return;
  }
  if (!entry->killed && ++entry->used < meter->budget && !is_over_time(entry)) {
    return;
  }
  kill_entry(entry);
  if (is_own(L, at)) {
    return;
  }
  if (lua_isyieldable(L)) {
    lua_yield(L, 0); /* from a hook: it is the caller that yields */
    return;
  }
  kad_meter_push_reason(L, meter, entry);
  lua_error(L);
}

void kad_meter_charge(const struct kad_meter *meter, uint64_t work) {
  struct kad_meter_entry *const entry = meter->entry;
  const uint64_t most = (uint64_t)meter->budget * KAD_METER_SLICE;
  if (entry == NULL || entry->killed) {
    return;
  }
  work = (work < most ? work : most) + entry->work;
  entry->work = (uint32_t)(work % KAD_METER_SLICE);
  if (work >= KAD_METER_SLICE) {
    entry->used += (uint32_t)(work / KAD_METER_SLICE);
    if (entry->used >= meter->budget) {
      kill_entry(entry);
    }
  }
}

bool kad_meter_is_spent(const struct kad_meter *meter) {
  return meter->entry != NULL && meter->entry->used >= meter->budget;
}

void kad_meter_starve(const struct kad_meter *meter) {
  if (meter->entry != NULL) {
    meter->entry->starved = true;
    kill_entry(meter->entry);
  }
}

void kad_meter_push_reason(lua_State *L, const struct kad_meter *meter,
                           const struct kad_meter_entry *entry) {
  lua_Debug at;
  const char *place = "";
  luaL_checkstack(L, 3, NULL);
  if (lua_getstack(entry->thread, 0, &at) &&
      lua_getinfo(entry->thread, "Sl", &at) && at.currentline > 0) {
    place = lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
  } else {
    lua_pushliteral(L, "");
  }
  if (entry->starved) {
    lua_pushfstring(L, "%sout of memory", place);
  } else {
    lua_pushfstring(L, "%sran too long: over its budget of %d instructions",
                    place, (int)(meter->budget * KAD_METER_SLICE));
  }
  lua_remove(L, -2);
}

void kad_meter_watch(lua_State *L) {
  lua_sethook(L, count, LUA_MASKCOUNT, KAD_METER_SLICE);
}

void kad_meter_enter(lua_State *L, struct kad_meter *meter,
                     struct kad_meter_entry *entry) {
  *entry = (struct kad_meter_entry){.outer = meter->entry, .thread = L};
  meter->entry = entry;
  if (lua_gethookcount(L) != KAD_METER_SLICE) {
    kad_meter_watch(L); /* what an earlier entry was killed by goes on */
  }
}

void kad_meter_leave(struct kad_meter *meter) {
  const struct kad_meter_entry *const entry = meter->entry;
  meter->entry = entry->outer;
  if (meter->entry != NULL) {
    meter->entry->used += entry->used;
  }
}

/* create(fn): a coroutine whose code is metered */
static int meter_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *const thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  kad_meter_watch(thread);
  return 1;
}

/* Leaves on `L` false and the error of `thread`. */
static int push_failure(lua_State *L, lua_State *thread) {
  lua_pushboolean(L, 0);
  if (lua_gettop(thread) > 0) {
    lua_xmove(thread, L, 1);
  } else {
    lua_pushnil(L);
  }
  return 2;
}

/* resume(thread, ...): coroutine.resume, as an entry of its own */
static int meter_resume(lua_State *L) {
  lua_State *const thread = lua_tothread(L, 1);
  const int arguments = lua_gettop(L) - 1;
  int results = 0;
  luaL_argexpected(L, thread != NULL, 1, "coroutine");
  if (!lua_checkstack(thread, arguments)) {
    return luaL_error(L, "too many arguments");
  }
  lua_xmove(L, thread, arguments);
  struct kad_meter *const meter = kad_meter_of(L);
  struct kad_meter_entry entry;
  kad_meter_enter(thread, meter, &entry);
  const int status = lua_resume(thread, L, arguments, &results);
  kad_meter_leave(meter);
  if (status == LUA_YIELD && entry.killed) {
    lua_pushboolean(L, 0);
    kad_meter_push_reason(L, meter, &entry);
    return 2;
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    return push_failure(L, thread);
  }
  if (!lua_checkstack(L, results + 1)) {
    lua_settop(thread, 0);
    return luaL_error(L, "too many results");
  }
  lua_pushboolean(L, 1);
  lua_xmove(thread, L, results);
  return results + 1;
}

/* close(thread): coroutine.close, as an entry of its own. A coroutine that was
 * killed is left to the collector: hooks stay off in it, so that a `<close>`
 * variable could run for ever. */
static int meter_close(lua_State *L) {
  lua_State *const thread = lua_tothread(L, 1);
  luaL_argexpected(L, thread != NULL, 1, "coroutine");
  if (lua_status(thread) != LUA_YIELD && lua_status(thread) != LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  struct kad_meter *const meter = kad_meter_of(L);
  struct kad_meter_entry entry;
  kad_meter_enter(thread, meter, &entry);
  const int status = lua_resetthread(thread);
  kad_meter_leave(meter);
  if (status != LUA_OK) {
    return push_failure(L, thread);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* The end of kad_meter_pcall: true and the results, or false and the error. */
static int end_pcall(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) {
    return lua_gettop(L);
  }
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

int kad_meter_pcall(lua_State *L) {
  lua_Debug at;
  luaL_checkany(L, 1);
  if (lua_getstack(L, KAD_METER_DEPTH, &at)) {
    return luaL_error(L, "too many nested calls for another pcall");
  }
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  const int arguments = lua_gettop(L) - 2;
  return end_pcall(L, lua_pcallk(L, arguments, LUA_MULTRET, 0, 0, end_pcall),
                   0);
}

void kad_meter_add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"create", meter_create},
      {"resume", meter_resume},
      {"close", meter_close},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}

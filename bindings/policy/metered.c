#include "policy/metered.h"

#include "lua/handle.h"
#include "policy/meter.h"

#include <lauxlib.h>

/* create(fn): a coroutine whose code is metered */
static int meter_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *const thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  kad_meter_watch(thread);
  return 1;
}

/* Pushes false and the error of `thread`. [-0, +2, -] */
static int push_failure(lua_State *L, lua_State *thread) {
  lua_pushboolean(L, 0);
  if (lua_gettop(thread) > 0) {
    lua_xmove(thread, L, 1);
  } else {
    lua_pushnil(L);
  }
  return 2;
}

/* used() → instructions and processor time of the entry that ended last, which
 * `carry` takes after a preemption; its running time in nanoseconds; whether it
 * was killed */
static int meter_used(lua_State *L) {
  const struct kad_meter_use *const last = &kad_meter_of(L)->last;
  lua_pushinteger(L, (lua_Integer)last->instructions);
  lua_pushinteger(L, (lua_Integer)last->cpu);
  lua_pushinteger(L, (lua_Integer)kad_meter_of(L)->last_ns);
  lua_pushboolean(L, kad_meter_of(L)->last_killed);
  return 4;
}

/* carry(instructions, processor time): says what the next coroutine that is
 * resumed has used already */
static int meter_carry(lua_State *L) {
  kad_meter_of(L)->carry = (struct kad_meter_use){
      .instructions = (uint64_t)luaL_checkinteger(L, 1),
      .cpu = (clock_t)luaL_checkinteger(L, 2),
  };
  return 0;
}

/* has_time(network, continues) → whether some of the share of its turn is left
 * for a task that begins, or that continues */
static int meter_has_time(lua_State *L) {
  const struct kad_lua_network *const network = kad_lua_check_network(L, 1);
  struct kad_meter *const meter = kad_meter_of(L);
  kad_meter_turn(meter, network->link->network);
  lua_pushboolean(L,
                  meter->spent < kad_meter_share(meter, lua_toboolean(L, 2)));
  return 1;
}

/* Gives an entry that was preempted what it has used before. */
static void restore_use(struct kad_meter_entry *entry,
                        const struct kad_meter_use *carried) {
  entry->use = *carried;
  entry->used_before = carried->instructions;
  entry->cpu_start = entry->used_before > 0 ? clock() - carried->cpu : 0;
}

/* Resumes the coroutine at 1 with the other arguments as an entry. */
static int resume_metered(lua_State *L, bool may_pause) {
  lua_State *const thread = lua_tothread(L, 1);
  const int arguments = lua_gettop(L) - 1;
  int results = 0;
  luaL_argexpected(L, thread != NULL, 1, "coroutine");
  struct kad_meter *const meter = kad_meter_of(L);
  const struct kad_meter_use carried = meter->carry;
  meter->carry = (struct kad_meter_use){0};
  if (!lua_checkstack(thread, arguments)) {
    return luaL_error(L, "too many arguments");
  }
  lua_xmove(L, thread, arguments);
  struct kad_meter_entry entry;
  kad_meter_enter(thread, meter, &entry);
  entry.may_pause = may_pause;
  restore_use(&entry, &carried);
  const uint64_t begun = kad_meter_clock_ns();
  const int status = lua_resume(thread, L, arguments, &results);
  kad_meter_leave(meter);
  meter->last_ns = kad_meter_clock_ns() - begun;
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

/* resume(thread, ...): coroutine.resume, metered */
static int meter_resume(lua_State *L) {
  return resume_metered(L, false);
}

/* run(thread, ...): the same for the scheduler: the coroutine may be preempted,
 * and then yields no values */
static int meter_run(lua_State *L) {
  return resume_metered(L, true);
}

/* close(thread): coroutine.close, as an entry of its own. A coroutine that was
 * killed is left to the collector: it has no count hooks while it is closed, so
 * a `<close>` variable could run without end. */
static int meter_close(lua_State *L) {
  lua_State *const thread = lua_tothread(L, 1);
  luaL_argexpected(L, thread != NULL, 1, "coroutine");
  if (kad_meter_is_killed(thread)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  struct kad_meter *const meter = kad_meter_of(L);
  struct kad_meter_entry entry;
  int status = LUA_OK;
  kad_meter_enter(thread, meter, &entry);
  const char *const problem = kad_meter_reset(meter, thread, &status);
  kad_meter_leave(meter);
  if (problem != NULL) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, problem);
    return 2;
  }
  if (status != LUA_OK) {
    return push_failure(L, thread);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Ends kad_metered_pcall: true and the results, or false and the error. */
static int end_pcall(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) {
    return lua_gettop(L);
  }
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -2);
  return 2;
}

int kad_metered_pcall(lua_State *L) {
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

void kad_metered_add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"create", meter_create},     {"resume", meter_resume},
      {"run", meter_run},           {"close", meter_close},
      {"used", meter_used},         {"carry", meter_carry},
      {"has_time", meter_has_time}, {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}

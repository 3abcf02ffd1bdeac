#include "policy/resumption.h"

#include "policy/registry.h"

#include <lauxlib.h>

/* -------------------------------------------------------------- waiting -- */

/* Pushes the table of coroutines that wait for the scheduler. The value is the
 * coroutine through which one waits, or true. [-0, +1, m] */
static void push_waiting(lua_State *L) {
  kad_policy_push_weak_table(L, &kad_policy_keys.waiting_coroutines);
}

/* Notes that `L` waits through the coroutine at 1. [-0, +0, m] */
static void begin_wait(lua_State *L) {
  luaL_checkstack(L, 5, NULL);
  push_waiting(L);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) == LUA_TNIL) { /* it waits itself */
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
  lua_pushthread(L);
  lua_pushvalue(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Notes that neither `L` nor the coroutine at 1 waits. [-0, +0, m] */
static void end_wait(lua_State *L) {
  luaL_checkstack(L, 4, NULL);
  push_waiting(L);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pushthread(L);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Tells whether the coroutine at 1 waits. [-0, +0, m] */
static bool is_waiting(lua_State *L) {
  luaL_checkstack(L, 4, NULL);
  push_waiting(L);
  lua_pushvalue(L, 1);
  const bool found = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return found;
}

/* ------------------------------------------------------------- resuming -- */

void kad_resumption_enter(struct kad_meter *meter,
                          struct kad_resumption *resumption, lua_State *L,
                          lua_State *thread) {
  *resumption = (struct kad_resumption){
      .outer = meter->resumption, .thread = thread, .from = L};
  meter->resumption = resumption;
}

void kad_resumption_leave(struct kad_meter *meter) {
  meter->resumption = meter->resumption->outer;
}

/* Raises the error of `thread`, which is at the top of `L`. [-1, +0, v] */
static int raise_error(lua_State *L, lua_State *thread,
                       enum kad_resumption_mode mode) {
  if (lua_status(thread) != LUA_OK && lua_status(thread) != LUA_YIELD) {
    /* Closes its variables; an error of theirs takes the place of the first. */
    lua_pop(L, 1);
    luaL_checkstack(thread, 1, NULL);
    (void)lua_resetthread(thread);
    lua_xmove(thread, L, 1);
  }
  if (mode == KAD_RESUMPTION_MODE_PLACED && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* Moves the results of a coroutine that has ended or yielded, or its error, to
 * its caller. [-0, +n, v] */
static int push_results(lua_State *L, lua_State *thread, bool succeeded,
                        int count, enum kad_resumption_mode mode) {
  if (!lua_checkstack(L, count + 3)) {
    lua_settop(thread, 0);
    return luaL_error(L, "too many results to resume");
  }
  if (mode == KAD_RESUMPTION_MODE_RESUME) {
    lua_pushboolean(L, succeeded);
    lua_xmove(thread, L, count);
    return count + 1;
  }
  if (succeeded) {
    lua_xmove(thread, L, count);
    return count;
  }
  lua_pushvalue(thread, -1); /* lua_resetthread needs the error, too */
  lua_xmove(thread, L, 1);
  return raise_error(L, thread, mode);
}

/* Stops the caller when the entry was killed. Neither it nor the coroutine at 1
 * is resumed by later entries. */
static int stop_killed(lua_State *L, struct kad_meter *meter) {
  kad_meter_mark_killed(L);
  begin_wait(L);
  if (lua_isyieldable(L)) {
    meter->passing = L;
    return lua_yield(L, 0);
  }
  kad_meter_push_reason(L, meter, meter->entry);
  return lua_error(L);
}

static int resume_coroutine(lua_State *L, int status, lua_KContext mode);

/* Yields to the scheduler the values that the coroutine has yielded to it. */
static int pass_on(lua_State *L, struct kad_meter *meter, lua_State *thread,
                   int count, lua_KContext mode) {
  begin_wait(L);
  luaL_checkstack(L, count, NULL);
  lua_xmove(thread, L, count);
  meter->passing = L;
  return lua_yieldk(L, count, mode, resume_coroutine);
}

/* Runs the coroutine until it ends or yields. Sets `*passes` if it yields to
 * the scheduler. Returns a LUA_… status. */
static int run_coroutine(lua_State *L, struct kad_meter *meter,
                         lua_State *thread, int arguments, int *count,
                         bool *passes) {
  struct kad_resumption resumption;
  kad_resumption_enter(meter, &resumption, L, thread);
  if (lua_gethook(thread) == NULL && kad_meter_is_entered(meter, thread)) {
    kad_meter_watch(thread); /* made by a program, resumed by a hook */
  }
  meter->passing = NULL;
  const int status = lua_resume(thread, L, arguments, count);
  *passes = status == LUA_YIELD && meter->passing == thread;
  meter->passing = NULL;
  kad_resumption_leave(meter);
  return status;
}

/* Resumes the coroutine at 1 with the values above it. */
static int resume_coroutine(lua_State *L, int status, lua_KContext mode) {
  lua_State *const thread = lua_tothread(L, 1);
  struct kad_meter *const meter = kad_meter_of(L);
  int arguments = lua_gettop(L) - 1;
  int count = 0;
  bool passes = false;
  if (status == LUA_YIELD) {
    end_wait(L);
  }
  if (!lua_checkstack(thread, arguments)) {
    return luaL_error(L, "too many arguments to resume");
  }
  lua_xmove(L, thread, arguments);
  for (;;) {
    const int result =
        run_coroutine(L, meter, thread, arguments, &count, &passes);
    if (!passes) {
      const bool succeeded = result == LUA_OK || result == LUA_YIELD;
      return push_results(L, thread, succeeded, succeeded ? count : 1,
                          (enum kad_resumption_mode)mode);
    }
    if (meter->entry != NULL && meter->entry->killed) {
      return stop_killed(L, meter);
    }
    if (lua_isyieldable(L)) {
      return pass_on(L, meter, thread, count, mode);
    }
    if (count > 0) { /* it waits, but cannot yield here */
      begin_wait(L);
      return luaL_error(L, "attempt to wait across a C-call boundary");
    }
    arguments = 0; /* preempted: it continues, as it cannot yield here */
  }
}

const char *kad_resumption_status(lua_State *L, lua_State *thread) {
  lua_Debug at;
  if (L == thread) {
    return "running";
  }
  switch (lua_status(thread)) {
  case LUA_YIELD:
    return "suspended";
  case LUA_OK:
    if (lua_getstack(thread, 0, &at)) {
      return "normal";
    }
    return lua_gettop(thread) == 0 ? "dead" : "suspended";
  default:
    return "dead";
  }
}

/* Returns why the coroutine at 1 cannot be resumed, or NULL. [-0, +0, m] */
static const char *find_obstacle(lua_State *L) {
  lua_State *const thread = lua_tothread(L, 1);
  const char *const state = kad_resumption_status(L, thread);
  if (state[0] == 'd') {
    return "cannot resume dead coroutine";
  }
  if (state[0] != 's') {
    return "cannot resume non-suspended coroutine";
  }
  if (kad_meter_is_killed(thread)) {
    return "cannot resume a coroutine that was stopped";
  }
  return is_waiting(L) ? "cannot resume a coroutine that waits" : NULL;
}

int kad_resumption_resume(lua_State *L, enum kad_resumption_mode mode) {
  const char *const obstacle = find_obstacle(L);
  if (obstacle == NULL) {
    return resume_coroutine(L, LUA_OK, mode);
  }
  if (mode != KAD_RESUMPTION_MODE_RESUME) {
    return luaL_error(L, "%s", obstacle);
  }
  lua_pushboolean(L, 0);
  lua_pushstring(L, obstacle);
  return 2;
}

/* ------------------------------------------------------------ scheduler -- */

/* Pushes the coroutine `thread`. [-0, +1, m] */
static void push_thread(lua_State *L, lua_State *thread) {
  luaL_checkstack(thread, 1, NULL);
  lua_pushthread(thread);
  if (thread != L) {
    lua_xmove(thread, L, 1);
  }
}

static int running(lua_State *L) {
  push_thread(L, kad_meter_root(kad_meter_of(L), L));
  return 1;
}

static int blocked(lua_State *L) {
  const struct kad_resumption *resumption = kad_meter_of(L)->resumption;
  lua_State *thread = L;
  while (lua_isyieldable(thread)) {
    if (resumption == NULL || resumption->thread != thread) {
      return 0;
    }
    thread = resumption->from;
    resumption = resumption->outer;
  }
  push_thread(L, thread);
  return 1;
}

static int suspend(lua_State *L) {
  if (!lua_isyieldable(L)) {
    return luaL_error(L, "attempt to wait across a C-call boundary");
  }
  kad_meter_of(L)->passing = L;
  return lua_yield(L, lua_gettop(L));
}

static int inner(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  push_waiting(L);
  lua_pushvalue(L, 1);
  return lua_rawget(L, -2) == LUA_TTHREAD ? 1 : 0;
}

void kad_resumption_add_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"running", running}, {"blocked", blocked}, {"suspend", suspend},
      {"inner", inner},     {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}

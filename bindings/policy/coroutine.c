#include "policy/coroutine.h"

#include "policy/meter.h"
#include "policy/registry.h"

#include <lauxlib.h>

enum resume_mode {
  RESUME_MODE_RESUME, /* gives true and the values, or false and the error */
  RESUME_MODE_WRAP    /* gives the values, or raises */
};

/* Pushes the table whose keys are the coroutines that scripts have made. The
 * value is false while a script must not resume the coroutine, because it waits
 * for the scheduler or was killed. [-0, +1, m] */
static void push_made(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.script_coroutines) ==
      LUA_TTABLE) {
    return;
  }
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.script_coroutines);
}

/* Pops a thread and tells whether a script has made it. [-1, +0, m] */
static bool is_made(lua_State *L) {
  push_made(L);
  lua_insert(L, -2);
  const bool made = lua_rawget(L, -2) == LUA_TBOOLEAN;
  lua_pop(L, 2);
  return made;
}

/* Notes whether the coroutine at 1 waits for the scheduler. [-0, +0, m] */
static void set_waiting(lua_State *L, bool is_waiting) {
  luaL_checkstack(L, 4, NULL);
  push_made(L);
  lua_pushvalue(L, 1);
  lua_pushboolean(L, !is_waiting);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Returns the coroutine at `arg`, which a script must have made. [-0, +0, v] */
static lua_State *check_made(lua_State *L, int arg) {
  luaL_checkstack(L, 4, NULL);
  lua_State *const thread = lua_tothread(L, arg);
  lua_pushvalue(L, arg);
  luaL_argexpected(L, thread != NULL && is_made(L), arg, "coroutine");
  return thread;
}

/* Tells whether `L` is a coroutine that a script has made. [-0, +0, m] */
static bool is_inside(lua_State *L) {
  lua_pushthread(L);
  return is_made(L);
}

/* Tells the meter that the code of `thread` runs, resumed by `L`; or that of
 * `L` again, if `thread` is NULL. */
static void set_inner(lua_State *L, lua_State *thread) {
  struct kad_meter_entry *const entry = kad_meter_of(L)->entry;
  if (entry != NULL) {
    entry->inner = thread != NULL || L == entry->thread ? thread : L;
  }
}

/* Moves the results of a coroutine that has ended or yielded, or its error, to
 * its caller. [-0, +n, v] */
static int push_results(lua_State *L, lua_State *thread, bool succeeded,
                        int count, lua_KContext mode) {
  if (!lua_checkstack(L, count + 1)) {
    lua_settop(thread, 0);
    return luaL_error(L, "too many results");
  }
  if (mode == RESUME_MODE_RESUME) {
    lua_pushboolean(L, succeeded);
    lua_xmove(thread, L, count);
    return count + 1;
  }
  lua_xmove(thread, L, count);
  if (succeeded) {
    return count;
  }
  (void)lua_resetthread(thread);
  return lua_error(L);
}

/* Stops the caller when the entry was killed. The coroutine at 1 is never
 * resumed, not by later entries either. */
static int stop_killed(lua_State *L, const struct kad_meter *meter) {
  set_waiting(L, true);
  if (lua_isyieldable(L)) {
    return lua_yield(L, 0);
  }
  kad_meter_push_reason(L, meter, meter->entry);
  return lua_error(L);
}

static int resume_coroutine(lua_State *L, int status, lua_KContext mode);

/* Yields to the scheduler the values that the coroutine has yielded to it. */
static int yield_to_scheduler(lua_State *L, lua_State *thread, int count,
                              lua_KContext mode) {
  set_waiting(L, true);
  luaL_checkstack(L, count, NULL);
  lua_xmove(thread, L, count);
  return lua_yieldk(L, count, mode, resume_coroutine);
}

/* Resumes the coroutine at 1 with the values above it. */
static int resume_coroutine(lua_State *L, int status, lua_KContext mode) {
  lua_State *const thread = lua_tothread(L, 1);
  struct kad_meter *const meter = kad_meter_of(L);
  int arguments = lua_gettop(L) - 1;
  int count = 0;
  if (status == LUA_YIELD) {
    set_waiting(L, false);
  }
  if (!lua_checkstack(thread, arguments)) {
    return luaL_error(L, "too many arguments");
  }
  lua_xmove(L, thread, arguments);
  for (;;) {
    set_inner(L, thread);
    const int result = lua_resume(thread, L, arguments, &count);
    set_inner(L, NULL);
    if (result != LUA_YIELD) {
      return push_results(L, thread, result == LUA_OK,
                          result == LUA_OK ? count : 1, mode);
    }
    if (meter->yielder == thread) {
      meter->yielder = NULL;
      return push_results(L, thread, true, count, mode);
    }
    if (meter->entry != NULL && meter->entry->killed) {
      return stop_killed(L, meter);
    }
    if (lua_isyieldable(L)) {
      return yield_to_scheduler(L, thread, count, mode);
    }
    if (count > 0) { /* it waits, but cannot yield here */
      set_waiting(L, true);
      return luaL_error(L, "attempt to wait across a C-call boundary");
    }
    arguments = 0; /* preempted: it continues, as it cannot yield here */
  }
}

/* Returns what coroutine.status says of `thread`. [-0, +0, -] */
static const char *status_of(lua_State *L, lua_State *thread) {
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
  const char *const state = status_of(L, thread);
  luaL_checkstack(L, 2, NULL);
  push_made(L);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  const bool is_waiting = !lua_toboolean(L, -1);
  lua_pop(L, 2);
  if (state[0] == 'd') {
    return "cannot resume dead coroutine";
  }
  if (state[0] != 's') {
    return "cannot resume non-suspended coroutine";
  }
  if (lua_gethookcount(thread) == KAD_METER_HOOK_KILLED) {
    return "cannot resume a coroutine that was stopped";
  }
  return is_waiting ? "cannot resume a coroutine that waits" : NULL;
}

/* Resumes the coroutine at 1; or raises or returns why it cannot be resumed. */
static int try_resume(lua_State *L, lua_KContext mode) {
  const char *const obstacle = find_obstacle(L);
  if (obstacle == NULL) {
    return resume_coroutine(L, LUA_OK, mode);
  }
  if (mode == RESUME_MODE_WRAP) {
    return luaL_error(L, "%s", obstacle);
  }
  lua_pushboolean(L, 0);
  lua_pushstring(L, obstacle);
  return 2;
}

static int coroutine_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  push_made(L);
  lua_State *const thread = lua_newthread(L);
  kad_meter_watch(thread);
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 1);
  lua_rawset(L, 2);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  return 1;
}

static int coroutine_resume(lua_State *L) {
  check_made(L, 1);
  return try_resume(L, RESUME_MODE_RESUME);
}

static int call_wrapped(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return try_resume(L, RESUME_MODE_WRAP);
}

static int coroutine_wrap(lua_State *L) {
  coroutine_create(L);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

static int coroutine_yield(lua_State *L) {
  const int count = lua_gettop(L);
  luaL_checkstack(L, 4, NULL);
  if (!is_inside(L)) {
    return luaL_error(L, "attempt to yield from outside a coroutine");
  }
  if (!lua_isyieldable(L)) {
    return luaL_error(L, "attempt to yield across a C-call boundary");
  }
  kad_meter_of(L)->yielder = L;
  return lua_yield(L, count);
}

static int coroutine_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_made(L, 1)));
  return 1;
}

static int coroutine_isyieldable(lua_State *L) {
  lua_pushboolean(L, is_inside(L) && lua_isyieldable(L));
  return 1;
}

/* running() → the coroutine and false; in a hook or task itself nil and true */
static int coroutine_running(lua_State *L) {
  const bool inside = is_inside(L);
  if (inside) {
    lua_pushthread(L);
  } else {
    lua_pushnil(L);
  }
  lua_pushboolean(L, !inside);
  return 2;
}

static int coroutine_close(lua_State *L) {
  lua_State *const thread = check_made(L, 1);
  const char *const state = status_of(L, thread);
  if (state[0] != 's' && state[0] != 'd') {
    return luaL_error(L, "cannot close a %s coroutine", state);
  }
  if (lua_gethookcount(thread) == KAD_METER_HOOK_KILLED) {
    lua_pushboolean(L, 1); /* killed: it does not run again */
    return 1;
  }
  int status = LUA_OK;
  set_inner(L, thread);
  const char *const problem = kad_meter_reset(kad_meter_of(L), thread, &status);
  set_inner(L, NULL);
  if (problem != NULL) {
    return luaL_error(L, "%s", problem);
  }
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK) {
    return 1;
  }
  lua_xmove(thread, L, 1);
  return 2;
}

/* running() → the coroutine of the hook or task that runs, also inside a
 * coroutine that a script has made; and whether it is the main one */
static int running_task(lua_State *L) {
  const struct kad_meter_entry *const entry = kad_meter_of(L)->entry;
  lua_State *const thread =
      entry != NULL && L == entry->inner ? entry->thread : L;
  luaL_checkstack(thread, 1, NULL);
  const bool is_main = lua_pushthread(thread) == 1;
  if (thread != L) {
    lua_xmove(thread, L, 1);
  }
  lua_pushboolean(L, is_main);
  return 2;
}

void kad_coroutine_push_library(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"create", coroutine_create},
      {"resume", coroutine_resume},
      {"wrap", coroutine_wrap},
      {"yield", coroutine_yield},
      {"status", coroutine_status},
      {"isyieldable", coroutine_isyieldable},
      {"running", coroutine_running},
      {"close", coroutine_close},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
}

void kad_coroutine_set_running(lua_State *L) {
  lua_pushcfunction(L, running_task);
  lua_setfield(L, -2, "running");
}

#include "policy/coroutine.h"

#include "policy/meter.h"
#include "policy/registry.h"
#include "policy/resumption.h"

#include <lauxlib.h>
#include <lualib.h>

/* Pushes the table whose keys are the coroutines that scripts have made.
 * [-0, +1, m] */
static void push_made(lua_State *L) {
  kad_policy_push_weak_table(L, &kad_policy_keys.script_coroutines);
}

/* Pops a thread and tells whether a script has made it. [-1, +0, m] */
static bool is_made(lua_State *L) {
  push_made(L);
  lua_insert(L, -2);
  const bool made = lua_rawget(L, -2) == LUA_TBOOLEAN;
  lua_pop(L, 2);
  return made;
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
  return kad_resumption_resume(L, KAD_RESUMPTION_MODE_RESUME);
}

static int call_wrapped(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return kad_resumption_resume(L, KAD_RESUMPTION_MODE_WRAP);
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
  return lua_yield(L, count);
}

static int coroutine_status(lua_State *L) {
  lua_pushstring(L, kad_resumption_status(L, check_made(L, 1)));
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
  const char *const state = kad_resumption_status(L, thread);
  if (state[0] != 's' && state[0] != 'd') {
    return luaL_error(L, "cannot close a %s coroutine", state);
  }
  if (kad_meter_is_killed(thread)) {
    lua_pushboolean(L, 1); /* killed: it does not run again */
    return 1;
  }
  int status = LUA_OK;
  struct kad_resumption resumption;
  struct kad_meter *const meter = kad_meter_of(L);
  kad_resumption_enter(meter, &resumption, L, thread);
  const char *const problem = kad_meter_reset(meter, thread, &status);
  kad_resumption_leave(meter);
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

/* ------------------------------------------------------------- programs -- */

static int program_resume(lua_State *L) {
  luaL_argexpected(L, lua_isthread(L, 1), 1, "coroutine");
  return kad_resumption_resume(L, KAD_RESUMPTION_MODE_RESUME);
}

static int call_program_wrapped(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return kad_resumption_resume(L, KAD_RESUMPTION_MODE_PLACED);
}

static int program_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *const thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  lua_pushcclosure(L, call_program_wrapped, 1);
  return 1;
}

void kad_coroutine_push_program_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"resume", program_resume},
      {"wrap", program_wrap},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
}

void kad_coroutine_push_lua_functions(lua_State *L) {
  luaL_checkstack(L, 6, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.lua_coroutine) ==
      LUA_TTABLE) {
    return;
  }
  lua_pop(L, 1);
  lua_newtable(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_COLIBNAME) == LUA_TTABLE) {
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -6);
    }
  }
  lua_pop(L, 2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.lua_coroutine);
}

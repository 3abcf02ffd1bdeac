/* collector: a module that makes garbage collections as frequent as Lua allows.
 *
 *     local collector = require("tests.collector")
 *     collector.watch()  -- in each state that is to collect
 *     collector.every(1) -- at each allocation of all watched states
 *
 * A watched state has its allocator behind one that refuses every n-th block
 * once. Lua then collects all garbage, weak tables too, and asks again. So what
 * C code borrows from a value that nothing holds is freed at the first
 * allocation, and not once in a million calls. Freed blocks are overwritten:
 * without a sanitizer, too, what is read from one is wrong.
 *
 * A policy file that is trusted can watch the state of its node's policies.
 * The settings are the process's, as several states use them. */

#include <lauxlib.h>
#include <lua.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
  SCRIBBLE = 0x5a
};

/* The allocator of a state, behind ours. The module stays loaded, and the list
 * is never freed: states use both until they close. */
struct watched {
  struct watched *next;
  lua_Alloc allocate;
  void *state;
  bool is_refused; /* the block that is asked for again */
};

static struct {
  struct watched *all;
  lua_Integer period; /* 0: no block is refused */
  lua_Integer requests;
  lua_Integer collections;
} settings;

/* Tells whether the block is one to refuse. */
static bool must_refuse(struct watched *watched) {
  if (watched->is_refused) {
    watched->is_refused = false;
    return false;
  }
  if (settings.period == 0 || ++settings.requests % settings.period != 0) {
    return false;
  }
  settings.collections++;
  watched->is_refused = true;
  return true;
}

static void *allocate(void *state, void *old, size_t old_size,
                      size_t new_size) {
  struct watched *const watched = state;
  if (new_size > (old != NULL ? old_size : 0) && must_refuse(watched)) {
    return NULL;
  }
  if (old != NULL && new_size == 0) {
    memset(old, SCRIBBLE, old_size);
  }
  void *const block =
      watched->allocate(watched->state, old, old_size, new_size);
  if (block == NULL && new_size > 0) {
    watched->is_refused = true; /* not by us; Lua collects and asks again */
  }
  return block;
}

/* watch() */
static int watch(lua_State *L) {
  void *state = NULL;
  const lua_Alloc before = lua_getallocf(L, &state);
  if (before == allocate) {
    return 0;
  }
  struct watched *const watched = malloc(sizeof *watched);
  if (watched == NULL) {
    return luaL_error(L, "not enough memory");
  }
  *watched = (struct watched){
      .next = settings.all, .allocate = before, .state = state};
  settings.all = watched;
  lua_setallocf(L, allocate, watched);
  return 0;
}

/* every(period) */
static int every(lua_State *L) {
  const lua_Integer period = luaL_checkinteger(L, 1);
  luaL_argcheck(L, period >= 0, 1, "negative");
  settings.period = period;
  settings.requests = 0;
  return 0;
}

/* mode("generational" | "incremental"), of the calling state */
static int mode(lua_State *L) {
  static const char *const modes[] = {"generational", "incremental", NULL};
  if (luaL_checkoption(L, 1, NULL, modes) == 0) {
    lua_gc(L, LUA_GCGEN, 0, 0);
  } else {
    lua_gc(L, LUA_GCINC, 0, 0, 0);
  }
  return 0;
}

/* count() → the collections that were forced */
static int count(lua_State *L) {
  lua_pushinteger(L, settings.collections);
  return 1;
}

int luaopen_tests_collector(lua_State *L);

int luaopen_tests_collector(lua_State *L) {
  static const luaL_Reg functions[] = {{"watch", watch},
                                       {"every", every},
                                       {"mode", mode},
                                       {"count", count},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

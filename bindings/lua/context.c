#include "lua/context.h"

#include "lua/shown.h"

#include <assert.h>

/* Registry key of the context, a userdata. */
static const char context_key = 0;

/* User values of the context. */
enum {
  CONTEXT_ERROR = 1,   /* the error that a callback left; or nil */
  CONTEXT_HANDLES = 2, /* table: memory of a handle → handle */
  CONTEXT_VALUES = 2
};

/* Bytes outside of Lua's heap that do not make a collection necessary. */
enum {
  COLLECT_MIN = 16777216
};

/* The default `enter`. */
static int enter_protected(struct kad_lua_context *context, lua_CFunction body,
                           void *argument) {
  return kad_lua_protect(context->main, body, argument, context->report);
}

static struct kad_lua_context *make_context(lua_State *L) {
  struct kad_lua_context *const context =
      lua_newuserdatauv(L, sizeof *context, CONTEXT_VALUES);
  *context = (struct kad_lua_context){
      .report = kad_lua_context_keep_error,
      .enter = enter_protected,
  };
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  context->main = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v"); /* weak values */
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, -2, CONTEXT_HANDLES);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
  return context;
}

struct kad_lua_context *kad_lua_context(lua_State *L) {
  luaL_checkstack(L, 5, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
  struct kad_lua_context *const context = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return context != NULL ? context : make_context(L);
}

/* Pushes the table of handles. [-0, +1, m] */
static void push_handles(lua_State *L) {
  kad_lua_context(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
  lua_getiuservalue(L, -1, CONTEXT_HANDLES);
  lua_remove(L, -2);
}

void kad_lua_context_register_handle(lua_State *L) {
  push_handles(L);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, lua_touserdata(L, -3));
  lua_pop(L, 1);
}

void kad_lua_context_push_handle(lua_State *L, const void *handle) {
  push_handles(L);
  lua_rawgetp(L, -1, handle);
  lua_remove(L, -2);
}

int kad_lua_traceback(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) {
    luaL_tolstring(L, 1, NULL);
    lua_replace(L, 1);
  }
  lua_settop(L, 1);
  kad_lua_add_traceback(L, L, 1);
  return 1;
}

int kad_lua_protect(lua_State *L, lua_CFunction body, void *argument,
                    kad_lua_report_fn *report) {
  const int top = lua_gettop(L);
  if (!lua_checkstack(L, 8)) {
    return LUA_ERRMEM;
  }
  lua_pushcfunction(L, kad_lua_traceback);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, argument);
  const int status = lua_pcall(L, 1, 0, top + 1);
  if (status != LUA_OK) {
    report(L, status);
  }
  lua_settop(L, top);
  return status;
}

int kad_lua_context_enter(struct kad_lua_context *context, lua_CFunction body,
                          void *argument) {
  return context->enter(context, body, argument);
}

void kad_lua_context_keep_error(lua_State *L, int status) {
  (void)status;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
  const struct kad_lua_context *const context = lua_touserdata(L, -1);
  assert(context != NULL);
  if (lua_getiuservalue(L, -1, CONTEXT_ERROR) == LUA_TNIL) {
    lua_pushvalue(L, -3);
    lua_setiuservalue(L, -3, CONTEXT_ERROR);
  }
  lua_pop(L, 2);
  if (context->running != NULL) {
    kad_network_stop(context->running);
  }
}

void kad_lua_context_rethrow(lua_State *L) {
  kad_lua_context(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
  if (lua_getiuservalue(L, -1, CONTEXT_ERROR) == LUA_TNIL) {
    lua_pop(L, 2);
    return;
  }
  lua_pushnil(L);
  lua_setiuservalue(L, -3, CONTEXT_ERROR);
  lua_error(L);
}

void kad_lua_outside_count(struct kad_lua_outside *outside, size_t old_size,
                           size_t new_size) {
  outside->used = outside->used - old_size + new_size;
}

/* Resizes a block for a handle; `state` is a struct kad_lua_outside. */
static void *resize_counted(void *state, void *old, size_t old_size,
                            size_t new_size) {
  const struct kad_allocator heap = kad_allocator_default();
  void *const block = heap.resize(heap.state, old, old_size, new_size);
  if (block != NULL || new_size == 0) {
    kad_lua_outside_count(state, old != NULL ? old_size : 0, new_size);
  }
  return block;
}

struct kad_allocator kad_lua_context_allocator(
    struct kad_lua_context *context) {
  return (struct kad_allocator){.resize = resize_counted,
                                .state = &context->outside};
}

/* The collector sees a handle of some bytes where there are megabytes. It is
 * not told by LUA_GCSTEP: in generational mode, in which `lua` runs, a step
 * does not reach old objects. A collection costs time in proportion to Lua's
 * heap, so there is none until as much has been allocated outside. */
void kad_lua_context_collect(lua_State *L) {
  struct kad_lua_outside *const outside = &kad_lua_context(L)->outside;
  size_t limit = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024;
  if (outside->kept > outside->used) {
    outside->kept = outside->used;
  }
  limit = limit > outside->kept ? limit : outside->kept;
  limit = limit > COLLECT_MIN ? limit : COLLECT_MIN;
  if (outside->used - outside->kept < limit ||
      lua_gc(L, LUA_GCISRUNNING) == 0) {
    return;
  }
  (void)lua_gc(L, LUA_GCCOLLECT);
  outside->kept = outside->used;
}

/* context.h: calls from C into Lua.
 *
 * C calls Lua only through kad_lua_context_enter or kad_lua_protect: everything
 * that can raise happens inside them, on the main thread of the state.
 *
 * Notes such as [-0, +1, m] say how many values a function pops and pushes, and
 * whether it may raise, as in the Lua manual: `-` never, `m` only for memory,
 * `v` a described error, `e` any error. */
#ifndef KAD_LUA_CONTEXT_H
#define KAD_LUA_CONTEXT_H

#include "kadenza.h"

#include <lauxlib.h>
#include <lua.h>

/* Reports an error that escaped from a callback. The message, a string with a
 * traceback, is at the top of the stack of `L` and stays there. `status` is the
 * LUA_ERR… of the call. Must not raise. */
typedef void kad_lua_report_fn(lua_State *L, int status);

/* One in every Lua state. */
/* Memory outside of Lua's heap that handles of a state hold, in bytes. */
struct kad_lua_outside {
  size_t used;
  size_t kept; /* of it, what the last collection has left */
};

struct kad_lua_context {
  struct kad_lua_outside outside;
  lua_State *main;           /* callbacks run here, never on a coroutine */
  kad_lua_report_fn *report; /* takes their errors; never NULL */
  /* Runs `body`; by default with kad_lua_protect. A VM of policies has a
   * function that meters timers and operations. Same contract as
   * kad_lua_context_enter. */
  int (*enter)(struct kad_lua_context *context, lua_CFunction body,
               void *argument);
  struct kad_network *running; /* an error stops it; NULL: none is run */
  void *host;                  /* struct kad_host in a VM; NULL elsewhere */
};

/* Returns the context of the state of `L`, made at the first call. Valid as
 * long as the state. [-0, +0, m] */
struct kad_lua_context *kad_lua_context(lua_State *L);

/* Runs `body` on the main thread of the state by `context->enter`. The argument
 * of the body is `argument`, a light userdata. Returns a LUA_… status; a
 * failure has been reported. [-0, +0, -] */
int kad_lua_context_enter(struct kad_lua_context *context, lua_CFunction body,
                          void *argument);

/* Runs `body` protected on `L`. Its argument is `argument`, a light userdata.
 * Returns a LUA_… status; a failure has been given to `report`. [-0, +0, -] */
int kad_lua_protect(lua_State *L, lua_CFunction body, void *argument,
                    kad_lua_report_fn *report);

/* A message handler: gives any error a text and traceback. [-1, +1, m] */
int kad_lua_traceback(lua_State *L);

/* The report of ordinary states: keeps the first error for
 * kad_lua_context_rethrow, and stops the network that is being run.
 * [-0, +0, -] */
void kad_lua_context_keep_error(lua_State *L, int status);

/* Raises the error that a callback left, if there is one, and forgets it.
 * Functions that run a network call this afterwards. [-0, +0, v] */
void kad_lua_context_rethrow(lua_State *L);

/* Pushes the handle at `handle`; nil: it was collected. [-0, +1, m] */
void kad_lua_context_push_handle(lua_State *L, const void *handle);

/* Adds the handle at the top to those that kad_lua_context_push_handle finds.
 * [-0, +0, m] */
void kad_lua_context_register_handle(lua_State *L);

/* Returns an allocator for what a handle holds. It counts the bytes. */
struct kad_allocator kad_lua_context_allocator(struct kad_lua_context *context);

/* Counts a block that has grown or shrunk. */
void kad_lua_outside_count(struct kad_lua_outside *outside, size_t old_size,
                           size_t new_size);

/* Collects garbage if the memory that handles hold has doubled since the last
 * time, so that those that were dropped are closed. May run finalizers.
 * [-0, +0, m] */
void kad_lua_context_collect(lua_State *L);

#endif

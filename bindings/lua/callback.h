/* callback.h: functions of Lua that the core calls later.
 *
 * A callback is a block outside of any Lua state, so that the core may call it
 * also when the handle by which it was begun has been collected. It has no
 * handle then. The function is in a table that is user value 1 of the handle:
 * at `serial` the function, at -`serial` the block, a light userdata. */
#ifndef KAD_LUA_CALLBACK_H
#define KAD_LUA_CALLBACK_H

#include "lua/context.h"

struct kad_lua_callback {
  struct kad_lua_callback *next; /* in the list of the handle */
  struct kad_lua_callback **link;
  struct kad_lua_context *context;
  const void *handle;      /* NULL once it is collected */
  uint64_t id;             /* the core's, of the timer or operation; 0: none */
  struct kad_watch *watch; /* of a file descriptor; NULL: none */
  lua_Integer serial;      /* Lua's */
};

/* Makes a callback of the handle at `index` for the function at `function`, and
 * adds it to `*list`. Never NULL: raises when memory ends, and leaves nothing
 * behind. [-0, +0, m] */
struct kad_lua_callback *kad_lua_callback_new(lua_State *L, int index,
                                              int function,
                                              struct kad_lua_callback **list,
                                              lua_Integer *serial);

/* Returns callback `serial` of the handle at `index`, or NULL. [-0, +0, -] */
struct kad_lua_callback *kad_lua_callback_find(lua_State *L, int index,
                                               lua_Integer serial);

/* Frees a callback of the handle at `index` that the core will not call, and
 * forgets its function. [-0, +0, -] */
void kad_lua_callback_remove(lua_State *L, int index,
                             struct kad_lua_callback *callback);

/* Pushes the handle and the function of `callback` and, unless `keep`, forgets
 * the function. Returns false and pushes nothing if the collector has the
 * handle already. [-0, +0|2, m] */
bool kad_lua_callback_push(lua_State *L,
                           const struct kad_lua_callback *callback, bool keep);

/* Removes `callback` from the list of its handle. */
void kad_lua_callback_unlink(struct kad_lua_callback *callback);

/* Frees a callback, and removes it from its list if it is in one. */
void kad_lua_callback_free(struct kad_lua_callback *callback);

/* Removes the handle from the callbacks in `list`, which stay in the list. */
void kad_lua_callback_orphan(struct kad_lua_callback *list);

/* Moves the callbacks of `*from` to `*to`. */
void kad_lua_callback_move(struct kad_lua_callback **from,
                           struct kad_lua_callback **to);

/* Removes and frees the callbacks in `*list`. */
void kad_lua_callback_free_all(struct kad_lua_callback **list);

#endif

/* pending.h: callbacks into Lua that the core has been asked for.
 *
 * Each is a block outside of any Lua state, so that the core may call it
 * whatever has become of the handle it was begun through, which is forgotten
 * when that handle is collected. The function to call lives in a table that is
 * a user value of the handle: at `serial` the function, at -`serial` the block,
 * a light userdata. */
#ifndef KAD_LUA_PENDING_H
#define KAD_LUA_PENDING_H

#include "lua/kadenza_lua.h"

struct kad_lua_pending {
  struct kad_lua_pending *next; /* in the list of the handle */
  struct kad_lua_pending **link;
  struct kad_lua_context *context;
  const void *handle; /* NULL once that is collected */
  uint64_t name;      /* the core's: of the timer or operation */
  lua_Integer serial; /* Lua's */
};

/* Makes a pending callback of the handle at `index`, whose callbacks are its
 * first user value, for the function at `function`, and adds it to `*list`.
 * Never NULL: raises when memory ends, and then nothing is left. [-0, +0, m] */
struct kad_lua_pending *kad_lua_pending_new(lua_State *L, int index,
                                            int function,
                                            struct kad_lua_pending **list,
                                            lua_Integer *serial);

/* Returns the pending callback `serial` of the handle at `index`, or NULL.
 * [-0, +0, -] */
struct kad_lua_pending *kad_lua_pending_find(lua_State *L, int index,
                                             lua_Integer serial);

/* Forgets and frees a callback that will not be called. The handle is at
 * `index`. [-0, +0, -] */
void kad_lua_pending_drop(lua_State *L, int index,
                          struct kad_lua_pending *pending);

/* Pushes the handle and the function of `pending` and, unless `keep`, forgets
 * the function. Returns false, with nothing pushed, when the collector already
 * has the handle. [-0, +2, m] */
bool kad_lua_pending_push(lua_State *L, const struct kad_lua_pending *pending,
                          bool keep);

/* Takes `pending` out of the list of its handle. */
void kad_lua_pending_unlink(struct kad_lua_pending *pending);

/* Frees a callback that is in no list. */
void kad_lua_pending_free(struct kad_lua_pending *pending);

/* Lets the callbacks in `*list` forget their handle. They stay in the list. */
void kad_lua_pending_orphan(struct kad_lua_pending *list);

/* Moves the callbacks of `*from` to `*to`. */
void kad_lua_pending_move(struct kad_lua_pending **from,
                          struct kad_lua_pending **to);

/* Takes the callbacks out of `*list` and frees them. */
void kad_lua_pending_free_all(struct kad_lua_pending **list);

#endif

/* view.h: what hooks see of the core: records, requests and contexts as light
 * objects whose fields are fetched when they are read.
 *
 * A view shows a subject while its hook runs. When the hook waits, the view
 * keeps a copy instead; when the hook has ended it is empty, and reading it is
 * an error that says so.
 *
 * The views of a Lua state stand in rings, one a kind, and are used again in
 * turn, so that a call allocates none. One that a script has kept stays empty
 * until its turn comes again, KAD_VIEW_RING calls later. */
#ifndef KAD_POLICY_VIEW_H
#define KAD_POLICY_VIEW_H

#include "lua/kadenza_lua.h"

enum kad_view_kind {
  KAD_VIEW_RECORD,
  KAD_VIEW_REQUEST,
  KAD_VIEW_CONTEXT
};

enum {
  KAD_VIEW_KINDS = KAD_VIEW_CONTEXT + 1,
  KAD_VIEW_RING = 32 /* views of a kind; a power of two */
};

/* The memory of a view. User value 1 is the copy, a table. */
struct kad_view {
  enum kad_view_kind kind;
  unsigned bits;
  int place;            /* in the table of views */
  bool busy;            /* its hook has not ended */
  bool displaced;       /* another has its place; the registry keeps it */
  bool kept;            /* it shows a copy, its user value */
  bool spent;           /* there was a copy: not used again */
  const void *node_key; /* of the node in the registry; of contexts */
  union {
    const struct kad_record *record;
    const struct kad_request *request;
    const struct kad_hook_call *call; /* contexts */
  } subject;                          /* NULL: nothing to show */
};

/* The rings of a Lua state. */
struct kad_views {
  unsigned next[KAD_VIEW_KINDS]; /* whose turn it is */
  struct kad_view *rings[KAD_VIEW_KINDS][KAD_VIEW_RING];
};

/* Returns the views of the state of `L`, made at the first call. Valid as long
 * as the state. [-0, +0, m] */
struct kad_views *kad_views_of(lua_State *L);

/* Pushes the table of the views: a view is at its place. [-0, +1, -] */
void kad_views_push_table(lua_State *L);

/* Returns the view of `kind` whose turn it is, busy from now on and empty; NULL
 * when it cannot be used: see kad_views_refill. */
struct kad_view *kad_views_take(struct kad_views *views,
                                enum kad_view_kind kind);

/* Puts a new view where kad_views_take found none of `kind`. [-0, +0, m] */
void kad_views_refill(lua_State *L, struct kad_views *views,
                      enum kad_view_kind kind);

/* Lets a busy view keep a copy of its subject, which is about to end.
 * [-0, +0, m] */
void kad_view_keep(lua_State *L, struct kad_view *view);

/* Ends the use of a view; NULL is ignored. A copy stays as long as the view,
 * for an answer may borrow it. [-0, +0, -] */
void kad_view_give(lua_State *L, struct kad_view *view);

/* Returns the record view at `index`, or NULL if there is none. [-0, +0, -] */
const struct kad_view *kad_view_test_record(lua_State *L, int index);

#endif

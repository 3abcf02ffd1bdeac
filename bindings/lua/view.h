/* view.h: what hooks see of the core: records, requests and contexts as light
 * objects whose fields are fetched when they are read.
 *
 * A view shows a subject while its hook runs. When the hook waits, the view
 * keeps a copy instead; when the hook has ended it is empty, and reading it is
 * an error that says so. Every call has views of its own, so that one that a
 * script has kept never shows the subject of another call. */
#ifndef KAD_LUA_VIEW_H
#define KAD_LUA_VIEW_H

#include "kadenza_lua.h"

enum kad_view_kind {
  KAD_VIEW_RECORD,
  KAD_VIEW_REQUEST,
  KAD_VIEW_CONTEXT
};

/* The memory of a view. User value 1 is the copy, a table. */
struct kad_view {
  enum kad_view_kind kind;
  unsigned bits;
  bool kept;            /* there is a copy */
  const void *node_key; /* of the node in the registry; of contexts */
  union {
    const struct kad_record *record;
    const struct kad_question *question; /* requests and contexts */
  } subject;                             /* NULL: nothing to show */
};

/* Pushes a new, empty view. `context.node` is what the registry has under
 * `node_key`. [-0, +1, m] */
struct kad_view *kad_view_push(lua_State *L, enum kad_view_kind kind,
                               unsigned bits, const void *node_key);

/* Lets the view at `index` keep a copy of its subject. [-0, +0, m] */
void kad_view_keep(lua_State *L, int index);

/* Empties a view; NULL is ignored. A copy stays until the view is collected,
 * for an answer may borrow it. [-0, +0, -] */
void kad_view_empty(struct kad_view *view);

/* Returns the record view at `index`, or NULL if there is none. [-0, +0, -] */
const struct kad_view *kad_view_test_record(lua_State *L, int index);

#endif

/* view.h: what hooks see of the core: records, requests and contexts, as
 * userdata whose fields are fetched when they are read.
 *
 * A view shows its subject while its hook runs. When the hook becomes pending,
 * the view keeps a copy. When the hook has ended the view is empty: reading it
 * is an error that says so.
 *
 * Each Lua state has a ring of views of each kind, which are used in turn, so
 * that a call allocates none. A view that a script has kept stays empty until
 * its turn comes again, KAD_VIEW_RING calls later. */
#ifndef KAD_POLICY_VIEW_H
#define KAD_POLICY_VIEW_H

#include "kadenza.h"

#include <lua.h>

enum kad_view_kind {
  KAD_VIEW_KIND_RECORD,
  KAD_VIEW_KIND_REQUEST,
  KAD_VIEW_KIND_CONTEXT
};

enum {
  KAD_VIEW_KIND_COUNT = KAD_VIEW_KIND_CONTEXT + 1,
  KAD_VIEW_RING = 32 /* views of a kind; a power of two */
};

/* The memory of a view. User value 1 is the copy. */
struct kad_view {
  enum kad_view_kind kind;
  unsigned bits;
  int place;            /* in the table of views */
  bool busy;            /* its hook has not ended */
  bool displaced;       /* another view has its place; the registry keeps it */
  char anchor_key;      /* its address is the key of a displaced view */
  bool has_copy;        /* it shows its user value */
  bool spent;           /* it had a copy: it is not used again */
  const void *node_key; /* key of the node in the registry; of contexts */
  union {
    const struct kad_record *record;
    const struct kad_request *request;
    const struct kad_hook_call *call; /* contexts */
    const void *any;                  /* NULL: it is empty */
  } subject;
};

/* The rings of a Lua state. */
struct kad_views {
  unsigned next[KAD_VIEW_KIND_COUNT]; /* the view whose turn is next */
  struct kad_view *rings[KAD_VIEW_KIND_COUNT][KAD_VIEW_RING];
};

/* The names of enum kad_reason. Ends with NULL. */
extern const char *const kad_view_reasons[];

/* Returns the views of the state of `L`, made at the first call. Valid as long
 * as the state. [-0, +0, m] */
struct kad_views *kad_views_of(lua_State *L);

/* Pushes the table of the views, by their places. [-0, +1, -] */
void kad_views_push_table(lua_State *L);

/* Returns the next view of `kind`, empty and from now on busy. Returns NULL if
 * it cannot be used: call kad_views_refill, and try again. */
struct kad_view *kad_views_acquire(struct kad_views *views,
                                   enum kad_view_kind kind);

/* Puts a new view where kad_views_acquire found none. [-0, +0, m] */
void kad_views_refill(lua_State *L, struct kad_views *views,
                      enum kad_view_kind kind);

/* Makes a busy view show a copy of its subject, which is about to end. Does
 * nothing with NULL. [-0, +0, m] */
void kad_view_copy_subject(lua_State *L, struct kad_view *view);

/* Ends the use of a view; does nothing with NULL. A copy lives as long as the
 * view, because a result may borrow it. [-0, +0, -] */
void kad_view_release(lua_State *L, struct kad_view *view);

/* Returns the view of a record at `index`; NULL: it is none. [-0, +0, -] */
const struct kad_view *kad_view_test_record(lua_State *L, int index);

#endif

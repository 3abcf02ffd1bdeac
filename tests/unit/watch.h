/* Notes what one node of an overlay looks up, as the others hear it.
 *
 *     kad_watch_begin(&watch, &overlay, 3);
 *     kad_overlay_run(&overlay, KAD_HOUR_MS);
 *     ... watch.targets[0 … watch.count - 1], in the order of their lookups
 *
 * Nodes that are opened later have to be told: kad_watch_tell. */
#ifndef KAD_UNIT_WATCH_H
#define KAD_UNIT_WATCH_H

#include "overlay.h"

enum {
  KAD_WATCH_MAX = 256 /* lookups noted; the test fails of more */
};

struct kad_watch {
  struct kad_overlay *overlay;
  struct kad_id watched;
  struct kad_id targets[KAD_WATCH_MAX]; /* of find_node, each once */
  size_t count;
};

/* Tells every node to note the lookups of node `watched`. `watch` has to stay
 * where it is until the overlay is closed. */
void kad_watch_begin(struct kad_watch *watch, struct kad_overlay *overlay,
                     size_t watched);

/* Tells node `i` too. */
void kad_watch_tell(struct kad_watch *watch, size_t i);

/* Forgets what was noted. */
void kad_watch_clear(struct kad_watch *watch);

/* Returns how many targets share exactly `bits` leading bits with the watched
 * node's id. */
size_t kad_watch_in_bucket(const struct kad_watch *watch, unsigned bits);

/* Returns true if the watched node's own id was looked up. */
bool kad_watch_has_own_id(const struct kad_watch *watch);

#endif

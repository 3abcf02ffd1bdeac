/* Records whose time has come: they expire, or are stored again at the k
 * closest. Source: Kademlia §2.5. */
#ifndef KAD_REPLICATION_REPUBLISH_H
#define KAD_REPLICATION_REPUBLISH_H

#include "engine/timer.h"

enum {
  KAD_REPUBLISHES_MAX = 4,   /* republishing puts at a time, at the least */
  KAD_REPUBLISHES_MOST = 32, /* and at the most: half of max_lookups */
  KAD_EXPIRE_BATCH = 64      /* records dropped at once */
};

/* The schedule of a node. Zero-initialised nothing is due. */
struct kad_republish {
  struct kad_timer timer;
  struct kad_timer expiry_timer;
  kad_time_ms free_at; /* the budget allows the next one */
  uint32_t running;
};

/* Sets the timers for the next record that expires or is republished. Call it
 * after a record was stored, touched or removed. */
void kad_republish_plan(struct kad_node *node);

/* Cancels the timers; for kad_node_free. */
void kad_republish_stop(struct kad_node *node);

/* Notes that a record was stored again, or could not be. */
void kad_republish_ended(struct kad_node *node, bool well);

#endif

/* Expires the records whose life has ended, and republishes those that are due:
 * each is stored again at the k closest to its key.
 * Source: Kademlia §2.5.
 *
 * Tested by tests/unit/replication/republish_test.c and
 * tests/sim/republish_test.c.
 */
#ifndef KAD_REPLICATION_REPUBLISH_H
#define KAD_REPLICATION_REPUBLISH_H

#include "engine/timer.h"

enum {
  KAD_EXPIRE_BATCH = 64,        /* records dropped at a time */
  KAD_REPUBLISHES_MIN = 4,      /* at a time, with a small store budget */
  KAD_REPUBLISHES_MAX = 32,     /* at a time, with any: half of max_lookups */
  KAD_REPUBLISH_RETRY_MS = 1000 /* if too many are under way, or it failed */
};

/* What is due, and what is under way. */
struct kad_republish {
  struct kad_timer expiry;
  struct kad_timer timer;
  kad_time_ms free_at; /* the store budget allows the next republish */
  uint32_t under_way;  /* republishes, and hook calls about them */
};

/* Sets the timers for the records that expire and are republished next. Called
 * after each change of the store or of the publications. */
void kad_republish_plan(struct kad_node *node);

/* Stops both timers; for kad_node_free. */
void kad_republish_stop(struct kad_node *node);

#endif

/* Makes the republishes of held records due soon, after the node has moved to
 * another id: it may not be one of the k closest to them any more. A republish
 * asks the nodes that are closest now before it stores.
 *
 * Tested by tests/sim/own_id_test.c. */
#ifndef KAD_NODE_HASTEN_H
#define KAD_NODE_HASTEN_H

#include "engine/timer.h"

enum {
  KAD_HASTEN_BATCH = 256, /* records at a time */
  KAD_HASTEN_MS = 600000  /* in which all become due */
};

struct kad_hasten {
  struct kad_timer timer;
  uint64_t cursor; /* of the store */
};

/* Begins with the first record. */
void kad_hasten_start(struct kad_node *node);

/* Ends it, for kad_node_free. */
void kad_hasten_stop(struct kad_node *node);

#endif

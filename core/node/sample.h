/* A random sample of the info hashes under which this node holds peers, for
 * nodes that survey the overlay (BEP 51).
 *
 *   stale ─► walked, slice by slice ─► fresh for a while ─► stale
 *
 * A query that finds the sample stale begins a walk over the store. Replies
 * have the former sample until the walk has ended, or, without a former one,
 * what the walk has found. So a crawler gets the same sample however often it
 * asks, and the cost of a walk is bounded in each turn.
 *
 * Tested by tests/unit/node/sample_test.c. */
#ifndef KAD_NODE_SAMPLE_H
#define KAD_NODE_SAMPLE_H

#include "engine/timer.h"

enum {
  KAD_SAMPLE_MAX = 32,        /* info hashes of a sample */
  KAD_SAMPLE_FRESH_S = 3600,  /* a sample is kept, if there are more */
  KAD_SAMPLE_COMPLETE_S = 10, /* the same, if it has all info hashes */
  KAD_SAMPLE_SLICE = 1024,    /* records that a turn looks at */
  KAD_SAMPLE_SLICE_MS = 20    /* until the next slice */
};

/* Info hashes drawn at random, each as likely as another. */
struct kad_sample_draw {
  struct kad_id ids[KAD_SAMPLE_MAX];
  size_t count;
  uint32_t num; /* info hashes that it is drawn from */
};

/* Zero-initialised it is stale. */
struct kad_sample {
  struct kad_sample_draw ready; /* the last walk's */
  struct kad_sample_draw draw;  /* of the walk that goes on */
  bool walks;
  bool is_ready;
  uint64_t cursor; /* of the walk */
  kad_time_ms stale_at;
  struct kad_timer timer; /* of the next slice */
};

/* Returns the sample. Begins a walk if it is stale. Sets `*interval_s` to the
 * seconds until there is another one. Valid until the next tick.
 * Source: BEP 51 "Sampling RPC". */
const struct kad_sample_draw *kad_sample_take(struct kad_node *node,
                                              uint32_t *interval_s);

/* Ends a walk, before the node is freed. */
void kad_sample_stop(struct kad_node *node);

#endif

/* How many nodes an overlay has, estimated from lookups: among ids that are
 * spread evenly, the k-th closest to any target is at a distance that tells how
 * densely they lie.
 *
 * Each lookup that came to its end is a sample; the median of the last ones
 * from different places counts, so that one place where ids lie more densely
 * than elsewhere changes little. That of our own id has a place that others do
 * not push it out of. 16 samples with k = 8 err by about an eighth. */
#ifndef KAD_LOOKUP_NETWORK_SIZE_H
#define KAD_LOOKUP_NETWORK_SIZE_H

#include "kadenza.h"

enum {
  KAD_NETWORK_SIZE_SAMPLES = 16,
  KAD_NETWORK_SIZE_K_MIN = 4, /* a lookup of fewer contacts tells too little */
  KAD_NETWORK_SIZE_FRESH_S = 7200, /* a sample is new for so long */
  KAD_NETWORK_SIZE_ENOUGH = 5      /* new ones, to do without old ones */
};

/* Every node has some: of ids, the first 32 bits have to do. */
struct kad_network_size_sample {
  uint32_t target;
  uint32_t reach; /* the distance of the farthest of the k closest */
  float share;    /* of all ids, that one node has to itself; 0: no sample */
  uint32_t at_s;
};

/* The samples of one address family. Zero-initialised it has none. */
struct kad_network_size {
  struct kad_network_size_sample own; /* of our own id */
  struct kad_network_size_sample samples[KAD_NETWORK_SIZE_SAMPLES];
  uint8_t next; /* the one to be replaced next */
};

/* What a lookup of `target` has found: `count` nodes, the farthest of them
 * `farthest`, all that there are when they are fewer than `k`. */
struct kad_network_size_finding {
  const struct kad_id *target;
  const struct kad_id *farthest;
  size_t count;
  size_t k;
  bool own; /* the target is our own id */
};

/* Adds what a lookup has found. A sample of the same place is replaced. */
void kad_network_size_add(struct kad_network_size *estimate,
                          const struct kad_network_size_finding *finding,
                          kad_time_ms now);

/* Returns the estimated number of nodes, ours included; 0 when nothing is known
 * yet. */
double kad_network_size_estimate(const struct kad_network_size *estimate,
                                 kad_time_ms now);

/* Returns how large a share of all ids is as close to `target` as `id` is. */
double kad_network_size_share(const struct kad_id *target,
                              const struct kad_id *id);

#endif

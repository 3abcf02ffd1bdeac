/* The network size: the number of nodes of an overlay, estimated from lookups.
 * Where ids are distributed evenly, the distance of the k-th closest node to
 * any target shows how densely they lie.
 *
 * Each lookup that found the k closest nodes is a sample. The estimate is the
 * median of the latest samples from different places, so that one place where
 * ids are denser changes little. The sample of our own id is kept apart; others
 * do not replace it. With 16 samples and k = 8 the error is about an eighth.
 *
 * Tested by tests/sim/network_size_test.c. */
#ifndef KAD_LOOKUP_NETWORK_SIZE_H
#define KAD_LOOKUP_NETWORK_SIZE_H

#include "kadenza.h"

enum {
  KAD_NETWORK_SIZE_SAMPLES = 16,
  KAD_NETWORK_SIZE_K_MIN = 4,      /* smallest k of a sample */
  KAD_NETWORK_SIZE_FRESH_S = 7200, /* for so long a sample is fresh */
  KAD_NETWORK_SIZE_ENOUGH = 5      /* fresh samples that make others unused */
};

/* Every node keeps some samples, so they are small: ids are cut to 32 bits. */
struct kad_network_size_sample {
  uint32_t target;
  uint32_t reach; /* distance of the k-th closest node */
  float share;    /* part of all ids that belongs to one node; 0: no sample */
  uint32_t at_s;
};

/* The samples of one address family. Zero-initialised it has none. */
struct kad_network_size {
  struct kad_network_size_sample own; /* of our own id */
  struct kad_network_size_sample samples[KAD_NETWORK_SIZE_SAMPLES];
  uint8_t next; /* the sample to replace next */
};

/* The result of a lookup of `target`: the `count` closest nodes, with
 * `farthest` the last of them. Fewer than `k` are the whole overlay. */
struct kad_network_size_finding {
  const struct kad_id *target;
  const struct kad_id *farthest;
  size_t count;
  size_t k;
  bool own; /* the target is our own id */
};

/* Adds the result of a lookup. It replaces a sample of the same place. */
void kad_network_size_add(struct kad_network_size *estimate,
                          const struct kad_network_size_finding *finding,
                          kad_time_ms now);

/* Returns the estimated number of nodes, ours included; 0 without samples. */
double kad_network_size_estimate(const struct kad_network_size *estimate,
                                 kad_time_ms now);

/* Returns the part of all ids that is as far from `target` as `id` or less. */
double kad_network_size_share(const struct kad_id *target,
                              const struct kad_id *id);

#endif

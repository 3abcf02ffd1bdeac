/* A bucket of the routing table with its replacement cache.
 *
 * Tested by tests/unit/routing/table_test.c. Source: Kademlia §2.2, §4.1. */
#ifndef KAD_ROUTING_BUCKET_H
#define KAD_ROUTING_BUCKET_H

#include "routing/replacement_cache.h"

/* Zero-initialised it is empty. */
struct kad_bucket {
  struct kad_table_entry *entries;           /* room for `cap`, or NULL */
  struct kad_replacement_cache replacements; /* empty until it is full */
  kad_time_ms looked_up; /* start of the last lookup in its range */
  uint16_t count;        /* contacts */
  uint16_t cap;
};

/* Result of a search that found no contact: greater than every index. */
#define KAD_BUCKET_NONE SIZE_MAX

/* Finds the contact of `id`. Returns its index or KAD_BUCKET_NONE. */
size_t kad_bucket_find(const struct kad_bucket *bucket,
                       const struct kad_id *id);

/* Finds the contact to ping or to replace first. It is not good or, with
 * `bad_only`, it is bad; of these it was seen longest ago and, among equals,
 * has the highest round-trip time. Returns its index or KAD_BUCKET_NONE. */
size_t kad_bucket_worst(const struct kad_bucket *bucket, kad_time_ms now,
                        kad_time_ms ping_ms, bool bad_only);

/* Makes room for `count` contacts, at most `limit`. Memory grows step by step:
 * most buckets near our own id never get full. Returns 0, or KAD_ENOMEM with
 * nothing changed. */
KAD_MUST_CHECK int kad_bucket_reserve(struct kad_bucket *bucket,
                                      const struct kad_allocator *allocator,
                                      size_t count, size_t limit);

#endif

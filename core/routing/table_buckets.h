/* The buckets of the routing table, for the files that make it up: table.c,
 * which changes it, and table_view.c, which reads it.
 *
 * Bucket i has the contacts that share exactly i leading bits with our own id;
 * the last one has those that share at least so many. The last bucket splits
 * when it is full.
 *
 * Tested by tests/unit/routing/table_test.c. Source: Kademlia §2.2, §2.4. */
#ifndef KAD_ROUTING_TABLE_BUCKETS_H
#define KAD_ROUTING_TABLE_BUCKETS_H

#include "routing/replacement_cache.h"
#include "routing/table.h"

/* A bucket with its replacement cache. Source: Kademlia §4.1. */
struct kad_bucket {
  struct kad_table_entry *entries;           /* room for `cap`, or NULL */
  struct kad_replacement_cache replacements; /* empty until it is full */
  kad_time_ms looked_up; /* start of the last lookup in its range */
  uint16_t count;        /* contacts */
  uint16_t cap;
};

/* Result of a search that found no contact: greater than every index. */
#define KAD_BUCKET_NONE SIZE_MAX

struct kad_table {
  struct kad_table_config config;
  struct kad_allocator allocator;
  struct kad_bucket *buckets;
  size_t bucket_count; /* 1 … id_bits */
  size_t bucket_cap;
  size_t count;           /* contacts in all buckets */
  size_t bad;             /* bad ones of these */
  bool withhold;          /* see kad_table_withhold */
  kad_time_ms good_until; /* all contacts are good before this time */
};

/* Returns the bucket of `id`. */
static inline struct kad_bucket *kad_table_bucket(const struct kad_table *table,
                                                  const struct kad_id *id) {
  return &table->buckets[kad_table_bucket_of(table, id)];
}

/* Returns the last bucket, the only one that may split. */
static inline struct kad_bucket *kad_table_last(const struct kad_table *table) {
  return &table->buckets[table->bucket_count - 1];
}

/* Returns how many contacts `bucket` may have: k, but the farthest buckets may
 * have more. Each doubling there brings the first hop of half, a quarter … of
 * all lookups one bit closer. The last bucket splits instead. */
static inline size_t kad_table_bucket_limit(const struct kad_table *table,
                                            const struct kad_bucket *bucket) {
  enum {
    FAR_BUCKETS = 8 /* may have more than k */
  };
  const size_t index = (size_t)(bucket - table->buckets);
  const size_t far = index < FAR_BUCKETS && index + 1 < table->bucket_count
                         ? table->config.far >> index
                         : 0;
  return far > table->config.k ? far : table->config.k;
}

/* Finds the contact to ping or to replace first. It is not good or, with
 * `bad_only`, it is bad; of these it was seen longest ago and, among equals,
 * has the highest round-trip time. Returns its index or KAD_BUCKET_NONE. */
size_t kad_bucket_worst(const struct kad_bucket *bucket, kad_time_ms now,
                        kad_time_ms ping_ms, bool bad_only);

/* Finds the contact that a secure one replaces first: it is not secure; of
 * these it was seen longest ago. Returns its index or KAD_BUCKET_NONE. */
size_t kad_bucket_insecure(const struct kad_bucket *bucket);

/* Returns whether `contact` counts as secure: its id fits its address, or the
 * table prefers no contacts. */
bool kad_table_finds_secure(const struct kad_table *table,
                            const struct kad_contact *contact);

/* Makes room for `count` contacts, at most `limit`. Memory grows in steps: most
 * buckets near our own id never get full. Returns 0, or KAD_ENOMEM without a
 * change. */
KAD_MUST_CHECK int kad_bucket_reserve(struct kad_bucket *bucket,
                                      const struct kad_allocator *allocator,
                                      size_t count, size_t limit);

/* Finds the contact of `id`, or NULL. */
struct kad_table_entry *kad_table_entry(const struct kad_table *table,
                                        const struct kad_id *id);

/* Makes an empty bucket. */
void kad_table_init_bucket(const struct kad_table *table,
                           struct kad_bucket *bucket, kad_time_ms looked_up);

/* Makes room for one more bucket. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_table_reserve_bucket(struct kad_table *table);

/* Splits the last bucket once. Returns 0, or KAD_ENOMEM without a change. */
KAD_MUST_CHECK int kad_table_split(struct kad_table *table);

#endif

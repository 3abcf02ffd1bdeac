/* The insides of the routing table, for the files that make it up: its buckets,
 * each with its contacts and its replacement cache.
 * Source: Kademlia §2.2, §2.4, §4.1. */
#ifndef KAD_ROUTING_BUCKET_H
#define KAD_ROUTING_BUCKET_H

#include "routing/replacement_cache.h"
#include "routing/table.h"

/* Contacts whose ids share a prefix of one length with ours. Zero-initialised
 * it is empty. */
struct kad_bucket {
  struct kad_table_entry
      *entries; /* room for `cap`; NULL until the first comes */
  struct kad_replacement_cache waiting; /* empty unless it has been full */
  kad_time_ms looked_up;                /* when a lookup last went into it */
  uint16_t count;                       /* contacts, at most kad_bucket_limit */
  uint16_t cap;                         /* contacts that there is room for */
};

/* Bucket i holds the contacts that share exactly i leading bits with us, the
 * last one those that share at least so many. */
struct kad_table {
  struct kad_table_config config;
  struct kad_allocator allocator;
  struct kad_replacement_cache_format format;
  struct kad_bucket *buckets;
  size_t bucket_count;    /* 1 … id_bits */
  size_t bucket_cap;      /* buckets that there is room for */
  size_t count;           /* contacts in all buckets */
  size_t bad;             /* of these, as kad_table_entry_is_bad says */
  kad_time_ms good_until; /* all contacts are good before this moment */
};

/* What says that nothing was found. */
enum {
  KAD_BUCKET_NONE = KAD_BUCKET_MAX
};

/* Returns the last bucket, the only one that may split. */
static inline struct kad_bucket *kad_table_last(const struct kad_table *table) {
  return &table->buckets[table->bucket_count - 1];
}

/* Returns how many contacts `bucket` may have. The farthest ones may have more
 * than k: each doubling brings the first hop of half, a quarter … of all
 * lookups one bit closer. Not the last one, which splits instead. */
static inline size_t kad_bucket_limit(const struct kad_table *table,
                                      const struct kad_bucket *bucket) {
  enum {
    FAR_BUCKETS = 8 /* that can have more at all */
  };
  const size_t index = (size_t)(bucket - table->buckets);
  const size_t far = index < FAR_BUCKETS && index + 1 < table->bucket_count
                         ? table->config.far >> index
                         : 0;
  return far > table->config.k ? far : table->config.k;
}

/* Finds the contact of `id`. Returns its index or KAD_BUCKET_NONE. */
size_t kad_bucket_find(const struct kad_bucket *bucket,
                       const struct kad_id *id);

/* Finds the contact to ping, or to drop, first: of those that are not good, or,
 * when `bad_only`, that are bad, the one seen longest ago, of equals the one
 * with the highest round-trip time. Returns its index or KAD_BUCKET_NONE. */
size_t kad_bucket_worst(const struct kad_bucket *bucket, kad_time_ms now,
                        kad_time_ms ping_ms, bool bad_only);

/* Makes room for `count` contacts, at most kad_bucket_limit of them: most
 * buckets near to us never have as many as they may. Returns 0, or KAD_ENOMEM
 * with nothing changed. */
KAD_MUST_CHECK int kad_bucket_prepare(struct kad_bucket *bucket,
                                      const struct kad_table *table,
                                      size_t count);

/* Finds the contact of `id`, or NULL. */
struct kad_table_entry *kad_table_entry(const struct kad_table *table,
                                        const struct kad_id *id);

/* Makes room for one more bucket. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_table_grow(struct kad_table *table);

/* Splits the last bucket once. Returns 0, or KAD_ENOMEM with nothing changed.
 * Source: Kademlia §2.4. */
KAD_MUST_CHECK int kad_table_split(struct kad_table *table);

#endif

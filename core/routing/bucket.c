#include "routing/bucket.h"

#include "base/allocator.h"
#include "base/time.h"

#include <assert.h>

enum {
  FIRST_BUCKETS = 4,
  FIRST_ENTRIES = 4
};

bool kad_table_entry_is_good(const struct kad_table_entry *entry,
                             kad_time_ms now, kad_time_ms ping_ms) {
  return entry->failures == 0 &&
         kad_time_since(entry->last_seen, now) < ping_ms;
}

bool kad_table_entry_is_bad(const struct kad_table_entry *entry) {
  return entry->failures >= KAD_FAILURES_BAD;
}

bool kad_table_entry_is_faster(const struct kad_table_entry *a,
                               const struct kad_table_entry *b) {
  return a->rtt_ms != 0 && (b->rtt_ms == 0 || a->rtt_ms < b->rtt_ms);
}

bool kad_table_entry_is_staler(const struct kad_table_entry *a,
                               const struct kad_table_entry *b) {
  if (a->last_seen != b->last_seen) {
    return a->last_seen < b->last_seen;
  }
  return kad_table_entry_is_faster(b, a);
}

size_t kad_bucket_find(const struct kad_bucket *bucket,
                       const struct kad_id *id) {
  for (size_t i = 0; i < bucket->count; i++) {
    if (kad_id_equal(&bucket->entries[i].contact.id, id)) {
      return i;
    }
  }
  return KAD_BUCKET_NONE;
}

size_t kad_bucket_worst(const struct kad_bucket *bucket, kad_time_ms now,
                        kad_time_ms ping_ms, bool bad_only) {
  size_t worst = KAD_BUCKET_NONE;
  for (size_t i = 0; i < bucket->count; i++) {
    const struct kad_table_entry *entry = &bucket->entries[i];
    if (bad_only ? !kad_table_entry_is_bad(entry)
                 : kad_table_entry_is_good(entry, now, ping_ms)) {
      continue;
    }
    if (worst == KAD_BUCKET_NONE ||
        kad_table_entry_is_staler(entry, &bucket->entries[worst])) {
      worst = i;
    }
  }
  return worst;
}

int kad_bucket_prepare(struct kad_bucket *bucket, const struct kad_table *table,
                       size_t count) {
  const size_t limit = kad_bucket_limit(table, bucket);
  const size_t size = sizeof *bucket->entries;
  assert(count <= limit);
  if (count <= bucket->cap) {
    return 0;
  }
  size_t cap = bucket->cap == 0 ? FIRST_ENTRIES : 2UL * bucket->cap;
  cap = cap > count ? cap : count;
  cap = cap < limit ? cap : limit;
  struct kad_table_entry *entries = kad_resize(
      &table->allocator, bucket->entries, bucket->cap * size, cap * size);
  if (entries == NULL) {
    return KAD_ENOMEM;
  }
  bucket->entries = entries;
  bucket->cap = (uint16_t)cap;
  return 0;
}

int kad_table_grow(struct kad_table *table) {
  if (table->bucket_count < table->bucket_cap) {
    return 0;
  }
  const size_t size = sizeof *table->buckets;
  const size_t cap =
      table->bucket_cap == 0 ? FIRST_BUCKETS : table->bucket_cap * 2;
  struct kad_bucket *buckets = kad_resize(&table->allocator, table->buckets,
                                          table->bucket_cap * size, cap * size);
  if (buckets == NULL) {
    return KAD_ENOMEM;
  }
  table->buckets = buckets;
  table->bucket_cap = cap;
  return 0;
}

struct kad_table_entry *kad_table_entry(const struct kad_table *table,
                                        const struct kad_id *id) {
  struct kad_bucket *bucket = &table->buckets[kad_table_bucket_of(table, id)];
  const size_t index = kad_bucket_find(bucket, id);
  return index != KAD_BUCKET_NONE ? &bucket->entries[index] : NULL;
}

static bool is_nearer(const struct kad_table *table,
                      const struct kad_table_entry *entry) {
  return kad_id_prefix(&table->config.self, &entry->contact.id) >=
         table->bucket_count;
}

/* Moves what shares enough bits with us from `far` to `near`, whose memory is
 * only taken when both have contacts. */
static int divide(const struct kad_table *table, struct kad_bucket *far,
                  struct kad_bucket *near) {
  size_t moving = 0;
  for (size_t i = 0; i < far->count; i++) {
    moving += is_nearer(table, &far->entries[i]) ? 1 : 0;
  }
  if (moving == 0) {
    return 0;
  }
  if (moving == far->count) {
    near->entries = far->entries;
    near->count = far->count;
    near->cap = far->cap;
    far->entries = NULL;
    far->count = 0;
    far->cap = 0;
    return 0;
  }
  const int error = kad_bucket_prepare(near, table, moving);
  if (error != 0) {
    return error;
  }
  uint16_t kept = 0;
  for (size_t i = 0; i < far->count; i++) {
    const struct kad_table_entry *entry = &far->entries[i];
    if (is_nearer(table, entry)) {
      near->entries[near->count++] = *entry;
    } else {
      far->entries[kept++] = *entry;
    }
  }
  far->count = kept;
  return 0;
}

int kad_table_split(struct kad_table *table) {
  assert(table->bucket_count < table->config.id_bits);
  int error = kad_table_grow(table);
  if (error != 0) {
    return error;
  }
  struct kad_bucket *near = &table->buckets[table->bucket_count];
  struct kad_bucket *far = near - 1;
  /* A bucket that can split lets nobody wait. */
  assert(far->waiting.count == 0);
  *near = (struct kad_bucket){.looked_up = far->looked_up};
  error = divide(table, far, near);
  if (error != 0) {
    return error;
  }
  table->bucket_count++;
  return 0;
}

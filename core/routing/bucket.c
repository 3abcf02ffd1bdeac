#include "routing/bucket.h"

#include "base/allocator.h"

#include <assert.h>

enum {
  FIRST_ENTRIES = 4
};

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

int kad_bucket_reserve(struct kad_bucket *bucket,
                       const struct kad_allocator *allocator, size_t count,
                       size_t limit) {
  const size_t size = sizeof *bucket->entries;
  assert(count <= limit);
  if (count <= bucket->cap) {
    return 0;
  }
  size_t cap = bucket->cap == 0 ? FIRST_ENTRIES : 2UL * bucket->cap;
  cap = cap > count ? cap : count;
  cap = cap < limit ? cap : limit;
  struct kad_table_entry *entries =
      kad_resize(allocator, bucket->entries, bucket->cap * size, cap * size);
  if (entries == NULL) {
    return KAD_ENOMEM;
  }
  bucket->entries = entries;
  bucket->cap = (uint16_t)cap;
  return 0;
}

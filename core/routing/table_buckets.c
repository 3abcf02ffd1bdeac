#include "routing/table_buckets.h"

#include "base/allocator.h"
#include "base/array.h"

#include <assert.h>

enum {
  FIRST_BUCKETS = 4,
  FIRST_ENTRIES = 4
};

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

size_t kad_bucket_insecure(const struct kad_bucket *bucket) {
  size_t worst = KAD_BUCKET_NONE;
  for (size_t i = 0; i < bucket->count; i++) {
    const struct kad_table_entry *entry = &bucket->entries[i];
    if (!entry->is_secure &&
        (worst == KAD_BUCKET_NONE ||
         kad_table_entry_is_staler(entry, &bucket->entries[worst]))) {
      worst = i;
    }
  }
  return worst;
}

bool kad_table_finds_secure(const struct kad_table *table,
                            const struct kad_contact *contact) {
  return !table->config.prefer_secure ||
         kad_secure_id_check(&contact->id, table->config.id_bits,
                             &contact->address);
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

size_t kad_table_bucket_of(const struct kad_table *table,
                           const struct kad_id *id) {
  const size_t prefix = kad_id_prefix(&table->config.self, id);
  const size_t last = table->bucket_count - 1;
  return prefix < last ? prefix : last;
}

struct kad_table_entry *kad_table_entry(const struct kad_table *table,
                                        const struct kad_id *id) {
  struct kad_bucket *bucket = kad_table_bucket(table, id);
  for (size_t i = 0; i < bucket->count; i++) {
    if (kad_id_equal(&bucket->entries[i].contact.id, id)) {
      return &bucket->entries[i];
    }
  }
  return NULL;
}

void kad_table_init_bucket(const struct kad_table *table,
                           struct kad_bucket *bucket, kad_time_ms looked_up) {
  *bucket = (struct kad_bucket){.looked_up = looked_up};
  kad_replacement_cache_init(&bucket->replacements, table->config.id_bits,
                             table->config.family);
}

int kad_table_reserve_bucket(struct kad_table *table) {
  return table->bucket_count < table->bucket_cap
             ? 0
             : KAD_ARRAY_RESERVE(
                   &table->allocator, &table->buckets, &table->bucket_cap,
                   table->bucket_cap == 0 ? FIRST_BUCKETS
                                          : table->bucket_cap * 2);
}

static bool is_nearer(const struct kad_table *table,
                      const struct kad_table_entry *entry) {
  return kad_id_prefix(&table->config.self, &entry->contact.id) >=
         table->bucket_count;
}

/* Moves the contacts that share enough bits with us from `far` to `near`. Only
 * allocates memory if both get contacts. */
static int divide_bucket(const struct kad_table *table, struct kad_bucket *far,
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
  const int error =
      kad_bucket_reserve(near, &table->allocator, moving, table->config.k);
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
  int error = kad_table_reserve_bucket(table);
  if (error != 0) {
    return error;
  }
  struct kad_bucket *near = &table->buckets[table->bucket_count];
  struct kad_bucket *far = near - 1;
  assert(far->replacements.count == 0); /* it splits when it is full */
  kad_table_init_bucket(table, near, far->looked_up);
  error = divide_bucket(table, far, near);
  if (error != 0) {
    return error;
  }
  table->bucket_count++;
  return 0;
}

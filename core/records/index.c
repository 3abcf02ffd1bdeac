#include "records/index.h"

#include "base/allocator.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert(KAD_INDEX_SECRET_SIZE == crypto_shorthash_KEYBYTES,
              "the secret is a SipHash key");

enum {
  INDEX_MIN_BUCKETS = 8
};

uint64_t kad_index_hash(const uint8_t *secret, const void *bytes, size_t len) {
  uint64_t hash = 0;
  unsigned char out[crypto_shorthash_BYTES];
  crypto_shorthash(out, bytes, len, secret);
  memcpy(&hash, out, sizeof hash);
  return hash;
}

static uint32_t *bucket_of(const struct kad_index *index, uint64_t hash) {
  return &index->buckets[hash & (index->bucket_count - 1)];
}

static void fill_from(struct kad_index *index, const uint32_t *buckets,
                      size_t bucket_count) {
  for (size_t i = 0; i < bucket_count; i++) {
    uint32_t item = buckets[i];
    while (item != KAD_NO_ITEM) {
      uint32_t *link = index->link(index->state, item);
      uint32_t next = *link;
      uint32_t *bucket = bucket_of(index, index->hash(index->state, item));
      *link = *bucket;
      *bucket = item;
      item = next;
    }
  }
}

static int grow(struct kad_index *index,
                const struct kad_allocator *allocator) {
  size_t old_count = index->bucket_count;
  uint32_t *old = index->buckets;
  size_t count = old_count == 0 ? INDEX_MIN_BUCKETS : old_count * 2;
  uint32_t *buckets = kad_alloc(allocator, count * sizeof *buckets);
  if (buckets == NULL) {
    return KAD_ENOMEM;
  }
  for (size_t i = 0; i < count; i++) {
    buckets[i] = KAD_NO_ITEM;
  }
  index->buckets = buckets;
  index->bucket_count = count;
  fill_from(index, old, old_count);
  kad_release(allocator, old, old_count * sizeof *old);
  return 0;
}

int kad_index_reserve(struct kad_index *index,
                      const struct kad_allocator *allocator) {
  if (index->count < index->bucket_count) {
    return 0;
  }
  int status = grow(index, allocator);
  return index->bucket_count == 0 ? status : 0;
}

void kad_index_deinit(struct kad_index *index,
                      const struct kad_allocator *allocator) {
  kad_release(allocator, index->buckets,
              index->bucket_count * sizeof *index->buckets);
  index->buckets = NULL;
  index->bucket_count = 0;
  index->count = 0;
}

uint32_t kad_index_first(const struct kad_index *index, uint64_t hash) {
  return index->bucket_count == 0 ? KAD_NO_ITEM : *bucket_of(index, hash);
}

void kad_index_add(struct kad_index *index, uint64_t hash, uint32_t item) {
  assert(index->bucket_count > 0);
  uint32_t *bucket = bucket_of(index, hash);
  *index->link(index->state, item) = *bucket;
  *bucket = item;
  index->count++;
}

/* Returns what points to `item`: its bucket, or the link of another item. */
static uint32_t *find_link(const struct kad_index *index, uint64_t hash,
                           uint32_t item) {
  uint32_t *link = bucket_of(index, hash);
  while (*link != item) {
    assert(*link != KAD_NO_ITEM);
    link = index->link(index->state, *link);
  }
  return link;
}

void kad_index_replace(struct kad_index *index, uint64_t hash, uint32_t old,
                       uint32_t item) {
  uint32_t *link = find_link(index, hash, old);
  *index->link(index->state, item) = *index->link(index->state, old);
  *link = item;
}

void kad_index_remove(struct kad_index *index, uint64_t hash, uint32_t item) {
  *find_link(index, hash, item) = *index->link(index->state, item);
  index->count--;
}

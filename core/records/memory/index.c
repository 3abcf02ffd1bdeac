#include "records/memory/index.h"

#include "base/allocator.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert(KAD_INDEX_SECRET_SIZE == crypto_shorthash_KEYBYTES,
              "the secret is a SipHash key");

uint64_t kad_index_hash(const uint8_t *secret, const void *bytes, size_t len) {
  uint64_t hash = 0;
  unsigned char out[crypto_shorthash_BYTES];
  crypto_shorthash(out, bytes, len, secret);
  memcpy(&hash, out, sizeof hash);
  return hash;
}

/* Buckets are added one at a time, so the count is rarely a power of two: a
 * hash whose bucket is not there yet is in the one that it will split from. */
static size_t bucket_number(const struct kad_index *index, uint64_t hash) {
  size_t number = hash & index->mask;
  return number < index->bucket_count ? number : hash & (index->mask / 2);
}

static uint32_t *bucket_of(const struct kad_index *index, uint64_t hash) {
  return &index->buckets[bucket_number(index, hash)];
}

/* Takes the items of the last bucket, which is new, from where they are. */
static void split(struct kad_index *index) {
  size_t last = index->bucket_count - 1;
  uint32_t *link = &index->buckets[last & (index->mask / 2)];
  while (*link != KAD_NO_ITEM) {
    uint32_t item = *link;
    uint32_t *next = index->link(index->state, item);
    uint64_t hash = index->hash(index->state, item);
    if (bucket_number(index, hash) == last) {
      *link = *next;
      *next = index->buckets[last];
      index->buckets[last] = item;
    } else {
      link = next;
    }
  }
}

static int add_bucket(struct kad_index *index,
                      const struct kad_allocator *allocator) {
  if (index->bucket_count == index->bucket_cap) {
    uint32_t *buckets = kad_array_grow(allocator, index->buckets,
                                       &index->bucket_cap, sizeof *buckets);
    if (buckets == NULL) {
      return KAD_ENOMEM;
    }
    index->buckets = buckets;
  }
  index->buckets[index->bucket_count] = KAD_NO_ITEM;
  index->bucket_count++;
  if (index->bucket_count > 1) {
    index->mask |= index->bucket_count - 1;
    split(index);
  }
  return 0;
}

int kad_index_reserve(struct kad_index *index,
                      const struct kad_allocator *allocator) {
  if (index->count < index->bucket_count) {
    return 0;
  }
  int status = add_bucket(index, allocator);
  return index->bucket_count == 0 ? status : 0;
}

void kad_index_deinit(struct kad_index *index,
                      const struct kad_allocator *allocator) {
  kad_release(allocator, index->buckets,
              index->bucket_cap * sizeof *index->buckets);
  index->buckets = NULL;
  index->bucket_count = 0;
  index->bucket_cap = 0;
  index->mask = 0;
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

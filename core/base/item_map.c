#include "base/array.h"
#include "base/item.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert(KAD_ITEM_MAP_SECRET_SIZE == crypto_shorthash_KEYBYTES,
              "the secret is a SipHash key");

uint64_t kad_item_map_hash(const uint8_t *secret, const void *bytes,
                           size_t len) {
  uint64_t hash = 0;
  unsigned char out[crypto_shorthash_BYTES];
  crypto_shorthash(out, bytes, len, secret);
  memcpy(&hash, out, sizeof hash);
  return hash;
}

/* Buckets are added one at a time, so that their count is rarely a power of
 * two. A hash whose bucket does not exist yet is in the bucket that will be
 * split to make it. Source: Litwin, "Linear Hashing". */
static size_t bucket_number(const struct kad_item_map *map, uint64_t hash) {
  size_t number = hash & map->mask;
  return number < map->bucket_count ? number : hash & (map->mask / 2);
}

static uint32_t *bucket_of(const struct kad_item_map *map, uint64_t hash) {
  return &map->buckets[bucket_number(map, hash)];
}

/* Moves the items of the last bucket, which is new, into it. */
static void split(struct kad_item_map *map) {
  size_t last = map->bucket_count - 1;
  uint32_t *link = &map->buckets[last & (map->mask / 2)];
  while (*link != KAD_NO_ITEM) {
    uint32_t item = *link;
    uint32_t *next = map->link(map->state, item);
    uint64_t hash = map->hash(map->state, item);
    if (bucket_number(map, hash) == last) {
      *link = *next;
      *next = map->buckets[last];
      map->buckets[last] = item;
    } else {
      link = next;
    }
  }
}

static int add_bucket(struct kad_item_map *map,
                      const struct kad_allocator *allocator) {
  if (map->bucket_count == map->bucket_cap &&
      KAD_ARRAY_RESERVE(allocator, &map->buckets, &map->bucket_cap,
                        kad_item_grown_cap(map->bucket_cap)) != 0) {
    return KAD_ENOMEM;
  }
  map->buckets[map->bucket_count] = KAD_NO_ITEM;
  map->bucket_count++;
  if (map->bucket_count > 1) {
    map->mask |= map->bucket_count - 1;
    split(map);
  }
  return 0;
}

int kad_item_map_reserve(struct kad_item_map *map,
                         const struct kad_allocator *allocator) {
  if (map->count < map->bucket_count) {
    return 0;
  }
  int status = add_bucket(map, allocator);
  return map->bucket_count == 0 ? status : 0;
}

void kad_item_map_expect(struct kad_item_map *map,
                         const struct kad_allocator *allocator, size_t count) {
  if (KAD_ARRAY_RESERVE(allocator, &map->buckets, &map->bucket_cap, count) !=
      0) {
    return;
  }
  while (map->bucket_count < count && add_bucket(map, allocator) == 0) {
  }
}

void kad_item_map_fetch(const struct kad_item_map *map, uint64_t hash) {
  if (map->bucket_count > 0) {
    __builtin_prefetch(bucket_of(map, hash));
  }
}

void kad_item_map_deinit(struct kad_item_map *map,
                         const struct kad_allocator *allocator) {
  KAD_ARRAY_FREE(allocator, &map->buckets, &map->bucket_cap);
  map->bucket_count = 0;
  map->bucket_cap = 0;
  map->mask = 0;
  map->count = 0;
}

uint32_t kad_item_map_first(const struct kad_item_map *map, uint64_t hash) {
  return map->bucket_count == 0 ? KAD_NO_ITEM : *bucket_of(map, hash);
}

void kad_item_map_add(struct kad_item_map *map, uint64_t hash, uint32_t item) {
  assert(map->bucket_count > 0);
  uint32_t *bucket = bucket_of(map, hash);
  *map->link(map->state, item) = *bucket;
  *bucket = item;
  map->count++;
}

/* Returns the bucket or the link that points to `item`. */
static uint32_t *find_link(const struct kad_item_map *map, uint64_t hash,
                           uint32_t item) {
  uint32_t *link = bucket_of(map, hash);
  while (*link != item) {
    assert(*link != KAD_NO_ITEM);
    link = map->link(map->state, *link);
  }
  return link;
}

void kad_item_map_replace(struct kad_item_map *map, uint64_t hash, uint32_t old,
                          uint32_t item) {
  uint32_t *link = find_link(map, hash, old);
  *map->link(map->state, item) = *map->link(map->state, old);
  *link = item;
}

void kad_item_map_remove(struct kad_item_map *map, uint64_t hash,
                         uint32_t item) {
  *find_link(map, hash, item) = *map->link(map->state, item);
  map->count--;
}

#include "base/map.h"

#include "base/allocator.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum {
  FIRST_BUCKETS = 16
};

static_assert(KAD_MAP_SECRET_SIZE == crypto_shorthash_KEYBYTES,
              "the secret is a SipHash key");

static struct kad_map_entry **bucket_of(const struct kad_map *map,
                                        uint64_t hash) {
  return &map->buckets[hash & (map->bucket_count - 1)];
}

static void insert(struct kad_map *map, struct kad_map_entry *entry) {
  struct kad_map_entry **bucket = bucket_of(map, entry->hash);
  entry->next = *bucket;
  *bucket = entry;
}

/* Moves every entry into an array of `bucket_count` buckets. Returns false,
 * with nothing changed, when there is no memory for it. */
static bool rehash(struct kad_map *map, size_t bucket_count) {
  const size_t slot_size = sizeof(struct kad_map_entry *);
  struct kad_map_entry **buckets =
      kad_alloc_zero(&map->allocator, bucket_count * slot_size);
  if (buckets == NULL) {
    return false;
  }
  struct kad_map_entry **old = map->buckets;
  const size_t old_count = map->bucket_count;
  map->buckets = buckets;
  map->bucket_count = bucket_count;
  for (size_t i = 0; i < old_count; i++) {
    for (struct kad_map_entry *entry = old[i]; entry != NULL;) {
      struct kad_map_entry *next = entry->next;
      insert(map, entry);
      entry = next;
    }
  }
  kad_release(&map->allocator, old, old_count * slot_size);
  return true;
}

void kad_map_init(struct kad_map *map, const struct kad_allocator *allocator,
                  const uint8_t *secret) {
  *map = (struct kad_map){.allocator = *allocator};
  if (secret != NULL) {
    memcpy(map->secret, secret, sizeof map->secret);
  }
}

void kad_map_deinit(struct kad_map *map) {
  kad_release(&map->allocator, map->buckets,
              map->bucket_count * sizeof(struct kad_map_entry *));
  map->buckets = NULL;
  map->bucket_count = 0;
  map->count = 0;
}

uint64_t kad_map_hash(const struct kad_map *map, const void *bytes,
                      size_t len) {
  uint8_t out[crypto_shorthash_BYTES];
  crypto_shorthash(out, bytes, len, map->secret);
  uint64_t hash = 0;
  for (size_t i = 0; i < sizeof out; i++) {
    hash = hash << 8 | out[i];
  }
  return hash;
}

int kad_map_add(struct kad_map *map, struct kad_map_entry *entry,
                uint64_t hash) {
  if (map->bucket_count == 0) {
    if (!rehash(map, FIRST_BUCKETS)) {
      return KAD_ENOMEM;
    }
  } else if (map->count >= map->bucket_count) {
    /* Without memory the chains get longer, and the next addition retries. */
    (void)rehash(map, map->bucket_count * 2);
  }
  entry->hash = hash;
  insert(map, entry);
  map->count++;
  return 0;
}

void kad_map_remove(struct kad_map *map, struct kad_map_entry *entry) {
  struct kad_map_entry **link = bucket_of(map, entry->hash);
  while (*link != entry) {
    assert(*link != NULL);
    link = &(*link)->next;
  }
  *link = entry->next;
  entry->next = NULL;
  map->count--;
}

struct kad_map_entry *kad_map_any(const struct kad_map *map, size_t *from) {
  while (*from < map->bucket_count && map->buckets[*from] == NULL) {
    (*from)++;
  }
  return *from < map->bucket_count ? map->buckets[*from] : NULL;
}

struct kad_map_entry *kad_map_first(const struct kad_map *map, uint64_t hash) {
  if (map->bucket_count == 0) {
    return NULL;
  }
  struct kad_map_entry *entry = *bucket_of(map, hash);
  while (entry != NULL && entry->hash != hash) {
    entry = entry->next;
  }
  return entry;
}

struct kad_map_entry *kad_map_after(const struct kad_map_entry *entry) {
  struct kad_map_entry *next = entry->next;
  while (next != NULL && next->hash != entry->hash) {
    next = next->next;
  }
  return next;
}

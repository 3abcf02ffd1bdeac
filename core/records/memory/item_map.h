/* A hash table of numbered items. It takes four bytes for a bucket and four for
 * an item; kad_map takes at least sixteen. It adds one bucket at a time, so
 * that no addition moves many items. Each item contains the link to the next
 * item of its bucket. The hash is SipHash-2-4 with a secret, so that an
 * attacker cannot choose keys that collide.
 *
 *     static uint32_t *link_of(void *state, uint32_t item);
 *     static uint64_t hash_of(void *state, uint32_t item);
 *     struct kad_item_map map = {
 *         .state = things, .link = link_of, .hash = hash_of};
 *     if (kad_item_map_reserve(&map, &allocator) == 0) {
 *       kad_item_map_add(&map, hash, item);
 *     }
 *     for (uint32_t item = kad_item_map_first(&map, hash);
 *          item != KAD_NO_ITEM; item = *link_of(things, item)) {
 *       // Visits each item with that hash, and some with others.
 *     } */
#ifndef KAD_RECORDS_MEMORY_ITEM_MAP_H
#define KAD_RECORDS_MEMORY_ITEM_MAP_H

#include "records/memory/item.h"

enum {
  KAD_ITEM_MAP_SECRET_SIZE = 16
};

/* The hash table. Set the first three fields and leave the others 0. */
struct kad_item_map {
  void *state; /* passed to the functions */
  /* Returns the link in `item`. */
  uint32_t *(*link)(void *state, uint32_t item);
  /* Returns the hash with which `item` was added. */
  uint64_t (*hash)(void *state, uint32_t item);
  uint32_t *buckets;   /* first item of each, or KAD_NO_ITEM */
  size_t bucket_count; /* as many as items, fewer after running out of memory */
  size_t bucket_cap;
  size_t mask; /* the bits of the last bucket's number, all set */
  size_t count;
};

/* Returns the hash of `len` bytes. `secret` has KAD_ITEM_MAP_SECRET_SIZE bytes.
 */
uint64_t kad_item_map_hash(const uint8_t *secret, const void *bytes,
                           size_t len);

/* Makes room for one more item. Returns 0, or KAD_ENOMEM when there is no
 * bucket. Out of memory with at least one bucket is no error: the table then
 * has fewer buckets than items. */
KAD_MUST_CHECK int kad_item_map_reserve(struct kad_item_map *map,
                                        const struct kad_allocator *allocator);

/* Frees the buckets, not the items. The table is empty afterwards. */
void kad_item_map_deinit(struct kad_item_map *map,
                         const struct kad_allocator *allocator);

/* Returns the first item of the bucket of `hash`, or KAD_NO_ITEM. */
uint32_t kad_item_map_first(const struct kad_item_map *map, uint64_t hash);

/* Adds `item`. The caller has reserved room for it. */
void kad_item_map_add(struct kad_item_map *map, uint64_t hash, uint32_t item);

/* Replaces `old` by `item`, which has the same hash. */
void kad_item_map_replace(struct kad_item_map *map, uint64_t hash, uint32_t old,
                          uint32_t item);

/* Removes `item`, which must be in the table. */
void kad_item_map_remove(struct kad_item_map *map, uint64_t hash,
                         uint32_t item);

#endif

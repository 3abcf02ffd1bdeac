/* Items of a memory store, such as entries, are numbers: their places in
 * arrays. A hash table and a heap of items.
 * Tested by tests/unit/records/memory/memory_store_test.c. */
#ifndef KAD_RECORDS_MEMORY_ITEM_H
#define KAD_RECORDS_MEMORY_ITEM_H

#include "kadenza.h"

/* The number of no item. */
#define KAD_NO_ITEM UINT32_MAX

/* Returns how many items an array of `cap` items should grow to: an eighth
 * more. Doubling would waste more memory than the indexes of a store of many
 * small records take. Returns SIZE_MAX, which cannot be allocated, where the
 * numbers end. */
static inline size_t kad_item_grown_cap(size_t cap) {
  const size_t grown = cap + cap / 8 + 8;
  return grown < KAD_NO_ITEM ? grown : SIZE_MAX;
}

enum {
  KAD_ITEM_MAP_SECRET_SIZE = 16
};

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
 *     }
 *
 * Set the first three fields and leave the others 0. */
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

/* Returns the hash of `len` bytes; `secret` has KAD_ITEM_MAP_SECRET_SIZE. */
uint64_t kad_item_map_hash(const uint8_t *secret, const void *bytes,
                           size_t len);

/* Makes room for one more item. Returns 0, or KAD_ENOMEM when there is no
 * bucket. Out of memory with at least one bucket is no error: the map then
 * has fewer buckets than items. */
KAD_MUST_CHECK int kad_item_map_reserve(struct kad_item_map *map,
                                        const struct kad_allocator *allocator);

/* Makes as many buckets as `count` items need, while there is memory. */
void kad_item_map_expect(struct kad_item_map *map,
                         const struct kad_allocator *allocator, size_t count);

/* Fetches the bucket of `hash` into the caches of the processor. */
void kad_item_map_fetch(const struct kad_item_map *map, uint64_t hash);

/* Frees the buckets, not the items. The map is empty afterwards. */
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

/* A binary heap of numbered items: four bytes for an item. Each item stores its
 * place in the heap, so that moving and removing it take O(log n), as adding
 * does.
 *
 *     struct kad_item_heap by_age = {
 *         .state = things, .before = is_older, .place = place_by_age};
 *     if (kad_item_heap_reserve(&by_age, &allocator) == 0) {
 *       kad_item_heap_add(&by_age, item);
 *     }
 *     uint32_t oldest = kad_item_heap_first(&by_age);
 *
 * Set the first three fields and leave the others 0. */
struct kad_item_heap {
  void *state; /* passed to the functions */
  /* Returns true if item `a` comes before item `b`. */
  bool (*before)(void *state, uint32_t a, uint32_t b);
  /* Returns where `item` stores its place. Only the heap writes it. */
  uint32_t *(*place)(void *state, uint32_t item);
  uint32_t *items;
  size_t count;
  size_t cap;
};

/* Makes room for one more item. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_item_heap_reserve(struct kad_item_heap *heap,
                                         const struct kad_allocator *allocator);

/* Frees the array, not the items. The heap is empty afterwards. */
void kad_item_heap_deinit(struct kad_item_heap *heap,
                          const struct kad_allocator *allocator);

/* Adds `item`. The caller has reserved room for it. */
void kad_item_heap_add(struct kad_item_heap *heap, uint32_t item);

/* Moves `item` to its place after its order has changed. */
void kad_item_heap_move(struct kad_item_heap *heap, uint32_t item);

/* Removes `item`, which must be in the heap. */
void kad_item_heap_remove(struct kad_item_heap *heap, uint32_t item);

/* Returns the item that comes before all others, or KAD_NO_ITEM. */
uint32_t kad_item_heap_first(const struct kad_item_heap *heap);

#endif

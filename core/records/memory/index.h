/* A hash table of numbered items: four bytes a bucket and four an item, where
 * kad_map takes sixteen and more. It grows by a bucket at a time, so that no
 * single addition moves many items. The items, wherever they are kept, carry
 * the link to the next one of their bucket. Keyed by SipHash-2-4 with a secret,
 * so that nobody can choose keys that collide.
 *
 *     static uint32_t *link_of(void *state, uint32_t item);
 *     static uint64_t hash_of(void *state, uint32_t item);
 *     struct kad_index index = {
 *         .state = things, .link = link_of, .hash = hash_of};
 *     if (kad_index_reserve(&index, &allocator) == 0) {
 *       kad_index_add(&index, hash, item);
 *     }
 *     for (uint32_t item = kad_index_first(&index, hash);
 *          item != KAD_NO_ITEM; item = *link_of(things, item)) {
 *       …every item with that hash is met, and some with others…
 *     } */
#ifndef KAD_RECORDS_MEMORY_INDEX_H
#define KAD_RECORDS_MEMORY_INDEX_H

#include "records/memory/array.h"

enum {
  KAD_INDEX_SECRET_SIZE = 16
};

/* The index. Begin with everything 0 but the first three fields. */
struct kad_index {
  void *state; /* given to the functions */
  /* Returns the link that `item` carries. */
  uint32_t *(*link)(void *state, uint32_t item);
  /* Returns the hash that `item` was added under. */
  uint64_t (*hash)(void *state, uint32_t item);
  uint32_t *buckets;   /* first item of each, or KAD_NO_ITEM */
  size_t bucket_count; /* one an item, unless memory was short */
  size_t bucket_cap;
  size_t mask; /* the bits of the last bucket's number, all set */
  size_t count;
};

/* Returns the hash of `len` bytes, keyed with KAD_INDEX_SECRET_SIZE bytes. */
uint64_t kad_index_hash(const uint8_t *secret, const void *bytes, size_t len);

/* Makes room for one more item. Returns 0, or KAD_ENOMEM when there is no
 * bucket; growing is given up silently. */
KAD_MUST_CHECK int kad_index_reserve(struct kad_index *index,
                                     const struct kad_allocator *allocator);

/* Frees the buckets; the items are the caller's. The index is empty then. */
void kad_index_deinit(struct kad_index *index,
                      const struct kad_allocator *allocator);

/* Returns the first item of the bucket of `hash`, or KAD_NO_ITEM. */
uint32_t kad_index_first(const struct kad_index *index, uint64_t hash);

/* Adds `item`, for which room has been reserved. */
void kad_index_add(struct kad_index *index, uint64_t hash, uint32_t item);

/* Puts `item` in the place of `old`, which has the same hash. */
void kad_index_replace(struct kad_index *index, uint64_t hash, uint32_t old,
                       uint32_t item);

/* Removes `item`, which must be there. */
void kad_index_remove(struct kad_index *index, uint64_t hash, uint32_t item);

#endif

/* Finds the entries of a memory store by key and type. Entries with the same
 * key and type form a ring, newest first. Only the newest is in the hash table.
 * Tested by tests/unit/records/memory/memory_store_test.c. */
#ifndef KAD_RECORDS_MEMORY_KEY_INDEX_H
#define KAD_RECORDS_MEMORY_KEY_INDEX_H

#include "base/item.h"
#include "records/memory/slots.h"

/* The index. Must not move after kad_key_index_init. */
struct kad_key_index {
  const struct kad_slots *slots;
  const uint8_t *secret;
  struct kad_item_map map;
};

/* Makes an empty index without allocating. Borrows: `slots`, `secret`. */
void kad_key_index_init(struct kad_key_index *index,
                        const struct kad_slots *slots, const uint8_t *secret);

/* Frees the hash table. The index is empty afterwards. */
void kad_key_index_clear(struct kad_key_index *index,
                         const struct kad_allocator *allocator);

/* Makes room for one more key. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_key_index_reserve(struct kad_key_index *index,
                                         const struct kad_allocator *allocator);

/* Returns the newest entry of `key` and `type`, or KAD_NO_ITEM. Its `siblings`
 * is the number of entries, its `older` the next one. */
uint32_t kad_key_index_find(const struct kad_key_index *index,
                            const struct kad_id *key, unsigned type);

/* Returns the hash of a key. */
uint64_t kad_key_index_hash(const struct kad_key_index *index,
                            const struct kad_id *key);

/* Fetches into the caches of the processor, for a key with that hash: its
 * bucket (step 0), the slot of the first entry there (1), that entry (2). */
void kad_key_index_fetch(const struct kad_key_index *index, uint64_t hash,
                         unsigned step);

/* Adds entry `number` as the newest of its key and type. The caller has
 * reserved room for a key. */
void kad_key_index_add(struct kad_key_index *index, uint32_t number);

/* Removes entry `number`, which must be in the index. */
void kad_key_index_remove(struct kad_key_index *index, uint32_t number);

/* Makes entry `number` the newest of its key and type. */
void kad_key_index_renew(struct kad_key_index *index, uint32_t number);

#endif

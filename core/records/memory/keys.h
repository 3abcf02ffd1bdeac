/* The entries of a memory store by key and type. Those that share both form a
 * ring, newest first, and the newest one stands in an index for all of them. */
#ifndef KAD_RECORDS_MEMORY_KEYS_H
#define KAD_RECORDS_MEMORY_KEYS_H

#include "records/memory/index.h"
#include "records/memory/slots.h"

/* The keys. Must not move after kad_keys_init. */
struct kad_keys {
  const struct kad_slots *slots;
  const uint8_t *secret;
  struct kad_index index;
};

/* Makes no keys; allocates nothing yet. Borrows: `slots`, `secret`. */
void kad_keys_init(struct kad_keys *keys, const struct kad_slots *slots,
                   const uint8_t *secret);

/* Frees the index. */
void kad_keys_clear(struct kad_keys *keys,
                    const struct kad_allocator *allocator);

/* Makes room for one more key. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_keys_reserve(struct kad_keys *keys,
                                    const struct kad_allocator *allocator);

/* Returns the newest entry of `key` and `type`, whose `siblings` says how many
 * there are and whose `older` is the next, or KAD_NO_ITEM. */
uint32_t kad_keys_find(const struct kad_keys *keys, const struct kad_id *key,
                       unsigned type);

/* Adds entry `number` as the newest of its key and type. Room for a key has
 * been reserved. */
void kad_keys_add(struct kad_keys *keys, uint32_t number);

/* Removes entry `number`, which must be there. */
void kad_keys_remove(struct kad_keys *keys, uint32_t number);

/* Makes entry `number` the newest of its key and type. */
void kad_keys_renew(struct kad_keys *keys, uint32_t number);

#endif

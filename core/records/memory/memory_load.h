/* Adds many records to a memory store in a short time. Most of that is waiting
 * for memory: a program that knows what it will add asks for what that needs
 * some records before.
 *
 *     kad_memory_load_expect(store, count);
 *     for (size_t i = 0; i < count; i++) {
 *       kad_memory_load_fetch(store, hashes[i + 24], 0);
 *       kad_memory_load_fetch(store, hashes[i + 16], 1);
 *       kad_memory_load_fetch(store, hashes[i + 8], 2);
 *       error = kad_store_add(store, &records[i], &metas[i], &handle);
 *     }
 *
 * Tested by tests/unit/records/memory/memory_store_size_test.c. */
#ifndef KAD_RECORDS_MEMORY_MEMORY_LOAD_H
#define KAD_RECORDS_MEMORY_MEMORY_LOAD_H

#include "records/memory/memory_store.h"

enum {
  KAD_MEMORY_LOAD_STEPS = 3 /* of kad_memory_load_fetch */
};

/* Makes room in the indexes of an empty store for so many records that are no
 * peers, so that adding them moves nothing. Without memory for it, they grow as
 * they do without this call. */
void kad_memory_load_expect(struct kad_store *store, size_t records);

/* Returns the hash of a key, for kad_memory_load_fetch. */
uint64_t kad_memory_load_hash(const struct kad_store *store,
                              const struct kad_id *key);

/* Asks for what adding a record of a key will read, so that it is in the caches
 * of the processor then. Each step needs what the one before has fetched: call
 * it for `step` 0, 1 …, and add other records in between. It changes nothing.
 */
void kad_memory_load_fetch(const struct kad_store *store, uint64_t hash,
                           unsigned step);

#endif

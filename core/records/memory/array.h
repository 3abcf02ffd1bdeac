/* Growth of the arrays of a memory store, by an eighth: doubling would waste
 * more memory than the indexes of a store of many small records take.
 * Tested by tests/unit/records/memory/memory_store_test.c. */
#ifndef KAD_RECORDS_MEMORY_ARRAY_H
#define KAD_RECORDS_MEMORY_ARRAY_H

#include "kadenza.h"

/* The number of no item. */
#define KAD_NO_ITEM UINT32_MAX

/* Resizes `items`, an array of `*cap` items of `size` bytes, to hold at least
 * one more, updates `*cap`, and returns the array. Returns NULL when out of
 * memory or when the items would be more than the numbers; nothing has changed
 * then. */
void *kad_array_grow(const struct kad_allocator *allocator, void *items,
                     size_t *cap, size_t size);

#endif

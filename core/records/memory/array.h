/* Arrays that grow by an eighth: a store of many small records would lose more
 * to doubling than its index takes otherwise. */
#ifndef KAD_RECORDS_MEMORY_ARRAY_H
#define KAD_RECORDS_MEMORY_ARRAY_H

#include "kadenza.h"

/* Names no item where items are numbered. */
#define KAD_NO_ITEM UINT32_MAX

/* Resizes `items`, an array of `*cap` items of `size` bytes, to hold at least
 * one more, and returns it. NULL when out of memory, or when there would be
 * more items than numbers; nothing has changed then. */
void *kad_array_grow(const struct kad_allocator *allocator, void *items,
                     size_t *cap, size_t size);

#endif

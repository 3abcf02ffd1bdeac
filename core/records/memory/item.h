/* Items of a memory store, such as entries, are numbers: their places in
 * arrays.
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

#endif

#include "records/memory/memory_load.h"

#include "base/array.h"
#include "records/memory/memory.h"

/* What cannot be had is made later, or not needed. */
void kad_memory_load_expect(struct kad_store *store, size_t records) {
  struct kad_memory *memory = store->state;
  const struct kad_allocator *allocator = &memory->allocator;
  (void)!KAD_ARRAY_RESERVE(allocator, &memory->slots.items, &memory->slots.cap,
                           records);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    struct kad_item_heap *const heap = &memory->due[i];
    (void)!KAD_ARRAY_RESERVE(allocator, &heap->items, &heap->cap, records);
  }
  kad_item_map_expect(&memory->keys.map, allocator, records);
}

uint64_t kad_memory_load_hash(const struct kad_store *store,
                              const struct kad_id *key) {
  const struct kad_memory *memory = store->state;
  return kad_key_index_hash(&memory->keys, key);
}

void kad_memory_load_fetch(const struct kad_store *store, uint64_t hash,
                           unsigned step) {
  const struct kad_memory *memory = store->state;
  kad_key_index_fetch(&memory->keys, hash, step);
}

/* A binary heap of numbered items: four bytes for an item. Each item stores its
 * place in the heap, so that moving and removing it take O(log n), as adding
 * does.
 *
 *     struct kad_item_heap by_age = {
 *         .state = things, .before = is_older, .place = place_by_age};
 *     if (kad_item_heap_reserve(&by_age, &allocator) == 0) {
 *       kad_item_heap_add(&by_age, item);
 *     }
 *     uint32_t oldest = kad_item_heap_first(&by_age); */
#ifndef KAD_RECORDS_MEMORY_ITEM_HEAP_H
#define KAD_RECORDS_MEMORY_ITEM_HEAP_H

#include "records/memory/item.h"

/* The heap. Set the first three fields and leave the others 0. */
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

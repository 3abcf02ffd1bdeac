#include "base/array.h"
#include "base/item.h"

#include <assert.h>

static void set_place(struct kad_item_heap *heap, size_t place, uint32_t item) {
  heap->items[place] = item;
  *heap->place(heap->state, item) = (uint32_t)place;
}

static void move_up(struct kad_item_heap *heap, size_t place) {
  uint32_t item = heap->items[place];
  while (place > 0) {
    size_t parent = (place - 1) / 2;
    if (!heap->before(heap->state, item, heap->items[parent])) {
      break;
    }
    set_place(heap, place, heap->items[parent]);
    place = parent;
  }
  set_place(heap, place, item);
}

/* Returns the child of `place` that comes first; the count if there is none. */
static size_t first_child(const struct kad_item_heap *heap, size_t place) {
  size_t child = 2 * place + 1;
  if (child >= heap->count) {
    return heap->count;
  }
  if (child + 1 < heap->count &&
      heap->before(heap->state, heap->items[child + 1], heap->items[child])) {
    child++;
  }
  return child;
}

static void move_down(struct kad_item_heap *heap, size_t place) {
  uint32_t item = heap->items[place];
  size_t child = first_child(heap, place);
  while (child < heap->count &&
         heap->before(heap->state, heap->items[child], item)) {
    set_place(heap, place, heap->items[child]);
    place = child;
    child = first_child(heap, place);
  }
  set_place(heap, place, item);
}

int kad_item_heap_reserve(struct kad_item_heap *heap,
                          const struct kad_allocator *allocator) {
  return heap->count < heap->cap
             ? 0
             : KAD_ARRAY_RESERVE(allocator, &heap->items, &heap->cap,
                                 kad_item_grown_cap(heap->cap));
}

void kad_item_heap_deinit(struct kad_item_heap *heap,
                          const struct kad_allocator *allocator) {
  KAD_ARRAY_FREE(allocator, &heap->items, &heap->cap);
  heap->count = 0;
  heap->cap = 0;
}

void kad_item_heap_add(struct kad_item_heap *heap, uint32_t item) {
  assert(heap->count < heap->cap);
  heap->items[heap->count] = item;
  heap->count++;
  move_up(heap, heap->count - 1);
}

void kad_item_heap_move(struct kad_item_heap *heap, uint32_t item) {
  size_t place = *heap->place(heap->state, item);
  assert(place < heap->count && heap->items[place] == item);
  move_up(heap, place);
  move_down(heap, *heap->place(heap->state, item));
}

void kad_item_heap_remove(struct kad_item_heap *heap, uint32_t item) {
  size_t place = *heap->place(heap->state, item);
  assert(place < heap->count && heap->items[place] == item);
  heap->count--;
  uint32_t last = heap->items[heap->count];
  if (last != item) {
    set_place(heap, place, last);
    kad_item_heap_move(heap, last);
  }
}

uint32_t kad_item_heap_first(const struct kad_item_heap *heap) {
  return heap->count == 0 ? KAD_NO_ITEM : heap->items[0];
}

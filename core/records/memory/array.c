#include "records/memory/array.h"

#include "base/allocator.h"

enum {
  ARRAY_STEP = 8
};

void *kad_array_grow(const struct kad_allocator *allocator, void *items,
                     size_t *cap, size_t size) {
  size_t grown = *cap + *cap / 8 + ARRAY_STEP;
  if (grown >= KAD_NO_ITEM || grown > SIZE_MAX / size) {
    return NULL;
  }
  void *resized = kad_resize(allocator, items, *cap * size, grown * size);
  if (resized != NULL) {
    *cap = grown;
  }
  return resized;
}

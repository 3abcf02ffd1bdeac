#include "base/array.h"

#include "base/allocator.h"

#include <string.h>

/* Pointers to different types are copied as bytes: a cast of their address
 * would break the aliasing rules. */

int kad_array_reserve(const struct kad_allocator *allocator, void *items,
                      size_t *cap, size_t wanted, size_t size) {
  void *array;
  if (wanted <= *cap) {
    return 0;
  }
  if (wanted > SIZE_MAX / size) {
    return KAD_ENOMEM;
  }
  memcpy(&array, items, sizeof array);
  array = kad_resize(allocator, array, *cap * size, wanted * size);
  if (array == NULL) {
    return KAD_ENOMEM;
  }
  memcpy(items, &array, sizeof array);
  *cap = wanted;
  return 0;
}

void kad_array_free(const struct kad_allocator *allocator, void *items,
                    size_t *cap, size_t size) {
  void *array;
  memcpy(&array, items, sizeof array);
  kad_release(allocator, array, *cap * size);
  array = NULL;
  memcpy(items, &array, sizeof array);
  *cap = 0;
}

#include "base/allocator.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *resize_by_library(void *state, void *old, size_t old_size,
                               size_t new_size) {
  (void)state;
  (void)old_size;
  if (new_size == 0) {
    free(old);
    return NULL;
  }
  return realloc(old, new_size);
}

struct kad_allocator kad_allocator_default(void) {
  return (struct kad_allocator){.resize = resize_by_library};
}

void *kad_alloc(const struct kad_allocator *allocator, size_t size) {
  assert(size > 0);
  return allocator->resize(allocator->state, NULL, 0, size);
}

void *kad_alloc_zero(const struct kad_allocator *allocator, size_t size) {
  void *block = kad_alloc(allocator, size);
  if (block != NULL) {
    memset(block, 0, size);
  }
  return block;
}

void *kad_resize(const struct kad_allocator *allocator, void *old,
                 size_t old_size, size_t new_size) {
  assert(new_size > 0);
  assert((old == NULL) == (old_size == 0));
  return allocator->resize(allocator->state, old, old_size, new_size);
}

void kad_release(const struct kad_allocator *allocator, void *block,
                 size_t size) {
  if (block != NULL) {
    (void)allocator->resize(allocator->state, block, size, 0);
  }
}

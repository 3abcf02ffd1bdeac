#include "counting_allocator.h"

#include "unit.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
  GUARD_BYTES = 16,
  GUARD = 0xa5,
  FRESH = 0x5a, /* not zero: who needs zeros must write them */
  FREED = 0xdd,
};

struct kad_counting_block {
  struct kad_counting_block *next;
  struct kad_counting_block *previous;
  const struct kad_counting_allocator *owner;
  size_t size;
  size_t serial;
};

/* The caller's bytes begin here, aligned for any type. */
#define ALIGNMENT (_Alignof(max_align_t))
#define HEADER_BYTES                                                   \
  ((sizeof(struct kad_counting_block) + GUARD_BYTES + ALIGNMENT - 1) / \
   ALIGNMENT * ALIGNMENT)

static unsigned char *block_data(struct kad_counting_block *block) {
  return (unsigned char *)block + HEADER_BYTES;
}

static void check_guard(const unsigned char *guard, size_t serial) {
  for (size_t i = 0; i < GUARD_BYTES; i++) {
    if (guard[i] != GUARD) {
      fail_msg("block %zu: written outside its bounds", serial);
    }
  }
}

static void check_block(struct kad_counting_block *block) {
  unsigned char *data = block_data(block);
  check_guard(data - GUARD_BYTES, block->serial);
  check_guard(data + block->size, block->serial);
}

/* A foreign or freed pointer shows by its owner: what is freed is scribbled on
 * and memory of others hardly holds our address. */
static struct kad_counting_block *find_block(
    const struct kad_counting_allocator *counting, void *data) {
  unsigned char *header = (unsigned char *)data - HEADER_BYTES;
  struct kad_counting_block *block = (void *)header;
  if (block->owner != counting) {
    fail_msg("%p is not a block of this allocator, or was freed", data);
  }
  return block;
}

static void link_block(struct kad_counting_allocator *counting,
                       struct kad_counting_block *block) {
  block->next = counting->first;
  block->previous = NULL;
  if (block->next) {
    block->next->previous = block;
  }
  counting->first = block;
  counting->blocks++;
  counting->bytes += block->size;
  if (counting->bytes > counting->peak_bytes) {
    counting->peak_bytes = counting->bytes;
  }
}

static void unlink_block(struct kad_counting_allocator *counting,
                         struct kad_counting_block *block) {
  if (block->next) {
    block->next->previous = block->previous;
  }
  if (block->previous) {
    block->previous->next = block->next;
  } else {
    counting->first = block->next;
  }
  counting->blocks--;
  counting->bytes -= block->size;
}

static void release(struct kad_counting_allocator *counting,
                    struct kad_counting_block *block) {
  check_block(block);
  unlink_block(counting, block);
  memset(block, FREED, HEADER_BYTES + block->size + GUARD_BYTES);
  free(block);
}

static void *acquire(struct kad_counting_allocator *counting, size_t size) {
  struct kad_counting_block *block = malloc(HEADER_BYTES + size + GUARD_BYTES);
  if (!block) {
    fail_msg("the test itself is out of memory (%zu bytes)", size);
    return NULL;
  }
  memset(block, GUARD, HEADER_BYTES + size + GUARD_BYTES);
  block->owner = counting;
  block->size = size;
  block->serial = counting->requests;
  memset(block_data(block), FRESH, size);
  link_block(counting, block);
  return block_data(block);
}

static bool may_grow(struct kad_counting_allocator *counting, size_t old_size,
                     size_t new_size) {
  if (new_size <= old_size) {
    return true;
  }
  size_t request = counting->requests++;
  size_t held = counting->bytes - old_size;
  bool over = new_size > counting->limit_bytes ||
              held > counting->limit_bytes - new_size;
  if (request == counting->failing_request || over) {
    counting->has_failed = true;
    return false;
  }
  return true;
}

static void *counting_resize(void *state, void *old, size_t old_size,
                             size_t new_size) {
  struct kad_counting_allocator *counting = state;
  struct kad_counting_block *block = NULL;
  if (old) {
    block = find_block(counting, old);
    assert_int_equal(block->size, old_size);
  } else {
    assert_int_equal(old_size, 0);
  }
  if (!may_grow(counting, old_size, new_size)) {
    return NULL;
  }

  void *data = new_size > 0 ? acquire(counting, new_size) : NULL;
  if (block) {
    size_t kept = old_size < new_size ? old_size : new_size;
    if (kept > 0) {
      memcpy(data, old, kept);
    }
    release(counting, block);
  }
  return data;
}

void kad_counting_init(struct kad_counting_allocator *counting) {
  *counting = (struct kad_counting_allocator){
      .allocator = {.resize = counting_resize, .state = counting},
      .failing_request = SIZE_MAX,
      .limit_bytes = SIZE_MAX,
  };
}

void kad_counting_deinit(struct kad_counting_allocator *counting) {
  size_t blocks = counting->blocks;
  while (counting->first) {
    assert(!counting->first->previous);
    print_error("leaked: %zu bytes of request %zu\n", counting->first->size,
                counting->first->serial);
    release(counting, counting->first);
  }
  assert_int_equal(blocks, 0);
}

void kad_counting_fail_at(struct kad_counting_allocator *counting, size_t n) {
  counting->has_failed = false;
  counting->failing_request = counting->requests + n;
}

void kad_counting_never_fail(struct kad_counting_allocator *counting) {
  counting->failing_request = SIZE_MAX;
}

#include "records/backed/retries.h"

#include "base/allocator.h"

static const size_t ring_size =
    KAD_BACKED_RETRIES_MAX * sizeof(struct kad_retry);

static size_t place_of(const struct kad_retries *retries, size_t i) {
  return (retries->first + i) % KAD_BACKED_RETRIES_MAX;
}

static bool has(const struct kad_retries *retries, struct kad_retry retry) {
  for (size_t i = 0; i < retries->count; i++) {
    const struct kad_retry *const item = &retries->items[place_of(retries, i)];
    if (item->kind == retry.kind && item->number == retry.number &&
        item->handle == retry.handle) {
      return true;
    }
  }
  return false;
}

void kad_retries_add(struct kad_retries *retries,
                     const struct kad_allocator *allocator,
                     struct kad_retry retry) {
  if (retries->items == NULL) {
    retries->items = kad_alloc(allocator, ring_size);
  }
  if (retries->items == NULL || has(retries, retry)) {
    return;
  }
  if (retries->count == KAD_BACKED_RETRIES_MAX) {
    retries->first = place_of(retries, 1);
    retries->count--;
  }
  retries->items[place_of(retries, retries->count)] = retry;
  retries->count++;
}

bool kad_retries_take(struct kad_retries *retries, struct kad_retry *retry) {
  if (retries->count == 0) {
    return false;
  }
  *retry = retries->items[retries->first];
  retries->first = place_of(retries, 1);
  retries->count--;
  return true;
}

void kad_retries_deinit(struct kad_retries *retries,
                        const struct kad_allocator *allocator) {
  kad_release(allocator, retries->items, ring_size);
  *retries = (struct kad_retries){0};
}

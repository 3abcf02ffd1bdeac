#include "records/memory/names.h"

#include "base/allocator.h"

#include <assert.h>
#include <string.h>

void kad_names_clear(struct kad_names *names,
                     const struct kad_allocator *allocator) {
  kad_release(allocator, names->items, names->cap * sizeof *names->items);
  *names = (struct kad_names){0};
}

static bool has_text(const struct kad_name *name, struct kad_slice text) {
  return kad_slice_equal((struct kad_slice){name->text, name->len}, text);
}

unsigned kad_names_find(const struct kad_names *names, struct kad_slice text) {
  for (size_t i = 0; i < names->count; i++) {
    if (names->items[i].records > 0 && has_text(&names->items[i], text)) {
      return (unsigned)i;
    }
  }
  return KAD_NO_NAME;
}

/* Returns a place that no record uses, or the first one after all. */
static size_t find_free(const struct kad_names *names) {
  size_t place = 0;
  while (place < names->count && names->items[place].records > 0) {
    place++;
  }
  return place;
}

static int make_place(struct kad_names *names,
                      const struct kad_allocator *allocator) {
  if (names->count == KAD_NAMES_MAX) {
    return KAD_EFULL;
  }
  if (names->count == names->cap) {
    struct kad_name *items =
        kad_array_grow(allocator, names->items, &names->cap, sizeof *items);
    if (items == NULL) {
      return KAD_ENOMEM;
    }
    names->items = items;
  }
  names->count++;
  return 0;
}

int kad_names_reserve(struct kad_names *names,
                      const struct kad_allocator *allocator,
                      struct kad_slice text, unsigned *name) {
  assert(text.len <= KAD_TYPE_NAME_MAX);
  unsigned found = kad_names_find(names, text);
  if (found != KAD_NO_NAME) {
    *name = found;
    return 0;
  }
  size_t place = find_free(names);
  if (place == names->count) {
    int status = make_place(names, allocator);
    if (status != 0) {
      return status;
    }
  }
  names->items[place] = (struct kad_name){.len = (uint8_t)text.len};
  if (text.len > 0) {
    memcpy(names->items[place].text, text.data, text.len);
  }
  *name = (unsigned)place;
  return 0;
}

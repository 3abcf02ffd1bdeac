#include "records/memory/type_list.h"

#include "base/array.h"

#include <assert.h>
#include <string.h>

void kad_type_list_clear(struct kad_type_list *list,
                         const struct kad_allocator *allocator) {
  KAD_ARRAY_FREE(allocator, &list->items, &list->cap);
  *list = (struct kad_type_list){0};
}

static bool has_name(const struct kad_listed_type *type,
                     struct kad_slice name) {
  return kad_slice_equal((struct kad_slice){type->name, type->len}, name);
}

unsigned kad_type_list_find(const struct kad_type_list *list,
                            struct kad_slice name) {
  for (size_t i = 0; i < list->count; i++) {
    if (list->items[i].records > 0 && has_name(&list->items[i], name)) {
      return (unsigned)i;
    }
  }
  return KAD_NO_TYPE;
}

/* Returns the first free place, or the count if there is none. */
static size_t find_free(const struct kad_type_list *list) {
  size_t place = 0;
  while (place < list->count && list->items[place].records > 0) {
    place++;
  }
  return place;
}

static int append_place(struct kad_type_list *list,
                        const struct kad_allocator *allocator) {
  if (list->count == KAD_TYPE_LIST_MAX) {
    return KAD_EFULL;
  }
  if (list->count == list->cap &&
      KAD_ARRAY_RESERVE(allocator, &list->items, &list->cap,
                        kad_item_grown_cap(list->cap)) != 0) {
    return KAD_ENOMEM;
  }
  list->count++;
  return 0;
}

int kad_type_list_reserve(struct kad_type_list *list,
                          const struct kad_allocator *allocator,
                          struct kad_slice name, unsigned *type) {
  assert(name.len <= KAD_TYPE_NAME_MAX);
  unsigned found = kad_type_list_find(list, name);
  if (found != KAD_NO_TYPE) {
    *type = found;
    return 0;
  }
  size_t place = find_free(list);
  if (place == list->count) {
    int status = append_place(list, allocator);
    if (status != 0) {
      return status;
    }
  }
  list->items[place] = (struct kad_listed_type){.len = (uint8_t)name.len};
  if (name.len > 0) {
    memcpy(list->items[place].name, name.data, name.len);
  }
  *type = (unsigned)place;
  return 0;
}

size_t kad_type_list_counts(const struct kad_type_list *list, size_t peers,
                            struct kad_type_count *counts, size_t cap) {
  size_t count = 0;
  const struct kad_slice of_peers = kad_slice_of("peers");
  for (size_t i = 0; i < list->count; i++) {
    const struct kad_listed_type *item = &list->items[i];
    const struct kad_slice name = {item->name, item->len};
    size_t records = item->records;
    if (records > 0 && kad_slice_equal(name, of_peers)) {
      records += peers;
      peers = 0;
    }
    if (records > 0 && count++ < cap) {
      counts[count - 1] = (struct kad_type_count){name, records};
    }
  }
  if (peers > 0 && count++ < cap) {
    counts[count - 1] = (struct kad_type_count){of_peers, peers};
  }
  return count;
}

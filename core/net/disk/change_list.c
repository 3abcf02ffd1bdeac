#include "net/disk/change_list.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

enum {
  FIRST_CAP = 1024
};

static int add(struct kad_change_list *list, const struct kad_change *change) {
  if (list->count == list->cap &&
      KAD_ARRAY_RESERVE(&list->allocator, &list->items, &list->cap,
                        list->cap > 0 ? 2 * list->cap : FIRST_CAP) != 0) {
    return KAD_ENOMEM;
  }
  list->items[list->count] =
      (struct kad_listed_change){.change = *change, .number = list->count};
  list->count++;
  return 0;
}

int kad_change_list_add(struct kad_change_list *list, struct kad_slice bytes) {
  struct kad_change change;
  int error = 0;
  while (error == 0 && kad_change_next(&bytes, &change)) {
    if (change.kind != KAD_CHANGE_CLOCK) {
      error = add(list, &change);
    } else if (kad_change_read_clock(&change, &list->clock)) {
      list->has_clock = true;
    }
  }
  return error;
}

static int compare(const void *a, const void *b) {
  const struct kad_listed_change *first = a;
  const struct kad_listed_change *second = b;
  const int order =
      memcmp(first->change.name, second->change.name, KAD_IMAGE_NAME_SIZE);
  if (order != 0) {
    return order;
  }
  return first->number < second->number ? -1 : first->number > second->number;
}

void kad_change_list_sort(struct kad_change_list *list) {
  if (list->count > 0) {
    qsort(list->items, list->count, sizeof *list->items, compare);
  }
}

size_t kad_change_list_apply(const struct kad_change_list *list, size_t first,
                             struct kad_image *image, bool *is_there) {
  const uint8_t *name = list->items[first].change.name;
  size_t i = first;
  for (; i < list->count &&
         memcmp(list->items[i].change.name, name, KAD_IMAGE_NAME_SIZE) == 0;
       i++) {
    kad_change_apply(&list->items[i].change, image, is_there);
  }
  return i;
}

void kad_change_list_deinit(struct kad_change_list *list) {
  KAD_ARRAY_FREE(&list->allocator, &list->items, &list->cap);
  list->count = 0;
}

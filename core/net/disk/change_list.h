/* The changes of one or two segments, in the order of their names: those of one
 * name follow each other, the oldest first. So the database is read and written
 * from front to end.
 * Tested by tests/unit/net/durable/durable_open_test.c. */
#ifndef KAD_NET_DISK_CHANGE_LIST_H
#define KAD_NET_DISK_CHANGE_LIST_H

#include "net/disk/change.h"

struct kad_listed_change {
  struct kad_change change;
  size_t number; /* of the changes that were added */
};

/* Zero-initialised but for its allocator it is empty. */
struct kad_change_list {
  struct kad_allocator allocator;
  struct kad_listed_change *items;
  size_t count;
  size_t cap;
  struct kad_clock_mark clock; /* the last one that was added */
  bool has_clock;
};

/* Adds all changes of `bytes`, which it borrows. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_change_list_add(struct kad_change_list *list,
                                       struct kad_slice bytes);

/* Sorts the list, after all were added. */
void kad_change_list_sort(struct kad_change_list *list);

/* Applies the changes of one name, the first of which is the item `first`, to
 * an image. Returns the item after them. */
size_t kad_change_list_apply(const struct kad_change_list *list, size_t first,
                             struct kad_image *image, bool *is_there);

/* Frees the list. */
void kad_change_list_deinit(struct kad_change_list *list);

#endif

/* The names of the record types in a memory store, numbered so that an entry
 * stores its type in one byte. A name stays while a record has it.
 * Tested by tests/unit/records/memory/memory_store_test.c. */
#ifndef KAD_RECORDS_MEMORY_TYPE_LIST_H
#define KAD_RECORDS_MEMORY_TYPE_LIST_H

#include "base/item.h"
#include "records/store.h"

enum {
  KAD_TYPE_LIST_MAX = 255,        /* types in use at a time */
  KAD_NO_TYPE = KAD_TYPE_LIST_MAX /* the number of no type */
};

struct kad_listed_type {
  uint8_t name[KAD_TYPE_NAME_MAX];
  uint8_t len;
  uint32_t records; /* of this type; 0: the place is free */
};

/* The types. Zero-initialised the list is empty. */
struct kad_type_list {
  struct kad_listed_type *items;
  size_t count; /* places, free ones included */
  size_t cap;
};

/* Frees the list. It is empty afterwards. */
void kad_type_list_clear(struct kad_type_list *list,
                         const struct kad_allocator *allocator);

/* Returns the number of a type that a record has, or KAD_NO_TYPE. */
unsigned kad_type_list_find(const struct kad_type_list *list,
                            struct kad_slice name);

/* Sets `*type` to the number of `name`, which has at most KAD_TYPE_NAME_MAX
 * bytes. A new number stays free until the caller counts a record in `records`.
 * Returns 0, KAD_ENOMEM, or KAD_EFULL when KAD_TYPE_LIST_MAX are in use. */
KAD_MUST_CHECK int kad_type_list_reserve(struct kad_type_list *list,
                                         const struct kad_allocator *allocator,
                                         struct kad_slice name, unsigned *type);

/* Copies up to `cap` of the types that records have to `counts`, and returns
 * the number of all. `peers` records of the type "peers" are not in the list.
 */
size_t kad_type_list_counts(const struct kad_type_list *list, size_t peers,
                            struct kad_type_count *counts, size_t cap);

#endif

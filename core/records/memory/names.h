/* The names of record types in a memory store, so that an entry needs a byte
 * for its type. A name lasts while records have it. */
#ifndef KAD_RECORDS_MEMORY_NAMES_H
#define KAD_RECORDS_MEMORY_NAMES_H

#include "records/memory/array.h"

enum {
  KAD_NAMES_MAX = 255,        /* names in use at once */
  KAD_NO_NAME = KAD_NAMES_MAX /* names none */
};

struct kad_name {
  uint8_t text[KAD_TYPE_NAME_MAX];
  uint8_t len;
  uint32_t records; /* that have it; 0 when the place is free */
};

/* The names. Zero-initialised they are none. */
struct kad_names {
  struct kad_name *items;
  size_t count; /* places, free ones included */
  size_t cap;
};

/* Frees the names. */
void kad_names_clear(struct kad_names *names,
                     const struct kad_allocator *allocator);

/* Returns the number of a name that records have, or KAD_NO_NAME. */
unsigned kad_names_find(const struct kad_names *names, struct kad_slice text);

/* Gives the number of `text` (at most KAD_TYPE_NAME_MAX bytes) in `*name`,
 * which stays free until a record is counted in its `records`.
 * Returns 0, KAD_ENOMEM, or KAD_EFULL when KAD_NAMES_MAX are in use. */
KAD_MUST_CHECK int kad_names_reserve(struct kad_names *names,
                                     const struct kad_allocator *allocator,
                                     struct kad_slice text, unsigned *name);

#endif

#ifndef BENCH_ITEMS_H
#define BENCH_ITEMS_H

#include "kadenza_item.h"
#include "krpc_query.h"

#include <stddef.h>
#include <stdint.h>

/* The items of BEP 44 that a load generator puts and gets: one for each key. A
 * thousand mutable ones have one publisher, and differ by their salts. */
struct items {
  int is_mutable;
  size_t count;
  size_t value_len; /* of the bencoded value */
  uint8_t *value;
  struct item *list;
  struct items_publisher *publishers;
};

/* Makes `count` items whose values are strings of `value_size` bytes (8 to
 * 1,000), with sequence number 1. Free them with items_deinit.
 *
 * Returns 0, or -1 when out of memory, or if one cannot be signed. */
int items_init(struct items *items, size_t count, size_t value_size,
               int is_mutable);

/* Frees the items, also after a failed init. */
void items_deinit(struct items *items);

/* Copies the target of an item, 20 bytes. */
void items_target(const struct items *items, size_t key, uint8_t *target);

/* Signs a mutable item again, with the next sequence number. Returns 0 or -1.
 */
int items_update(struct items *items, size_t key);

/* Sets what `query` says of an item. Borrows `items`, until the next call. */
void items_fill(struct items *items, size_t key, struct krpc_query *query);

#endif

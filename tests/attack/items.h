/* Items of BEP 44 that attackers put, and what must be true of those that a
 * node holds. */
#ifndef KAD_ATTACK_ITEMS_H
#define KAD_ATTACK_ITEMS_H

#include "kadenza.h"

enum {
  KAD_ITEMS = 3 /* a small and a large immutable one, and a mutable one */
};

/* Makes the item `which`, with its key; `seq` is that of the mutable one, made
 * positive. Its bytes are valid until the next call. */
void kad_items_make(unsigned which, int64_t seq, struct kad_record *item);

/* Fails the case if the node holds an item whose key is not its target, or
 * whose value or fields no put may have; with `is_final`, also if a signature
 * is wrong. Counts all records: they are those of the counters. */
void kad_items_check(const struct kad_node *node, bool is_final);

#endif

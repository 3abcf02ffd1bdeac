/* Stores of single bytes at a lone node, for tests of what it holds. All are
 * plain values under kad_lone_target. */
#ifndef KAD_UNIT_STORES_H
#define KAD_UNIT_STORES_H

#include "lone_node.h"

/* Stores the byte `value` from contact `who`. */
void kad_stores_put(struct kad_lone *lone, unsigned who, uint8_t value);

/* Stores it and returns the code of the error that answers it, or 0. */
int kad_stores_code(struct kad_lone *lone, unsigned who, uint8_t value);

/* Asks for the values under the key; writes their first bytes, newest first, to
 * `out`, of 256, and returns their number. */
size_t kad_stores_held(struct kad_lone *lone, uint8_t *out);

/* Fails unless exactly the bytes of `expected` are held, in this order. */
void kad_stores_assert(struct kad_lone *lone, const char *expected);

/* Fails unless exactly the bytes of `expected` are held, in any order. */
void kad_stores_assert_set(struct kad_lone *lone, const uint8_t *expected,
                           size_t size);

#endif

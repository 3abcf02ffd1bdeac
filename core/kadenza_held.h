/* kadenza_held.h: what a node holds for others: how many records of each type,
 * and one record after the other. For programs that show or export it.
 *
 * Beside kad_node_held of kadenza.h, which returns the records of a key. */
#ifndef KADENZA_HELD_H
#define KADENZA_HELD_H

#include "kadenza_store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies up to `cap` of the types of the records that a node holds to `out`,
 * with the number of their records, in any order. Returns the number of types,
 * which may exceed `cap`; 0 also if the store does not count them. Reads no
 * record. Their names borrow the store until the next call that may change it.
 */
KAD_API size_t kad_node_held_types(const struct kad_node *node,
                                   struct kad_type_count *out, size_t cap);

/* Iterates over the records that a node holds, in any order: begin with
 * `*cursor` 0. Sets `ttl` and `age` of the record, too. Its slices borrow the
 * store until the next call that may change it. A change between two calls may
 * hide or repeat some records. The type of one that cannot be read is empty.
 * Returns false at the end. */
KAD_API bool kad_node_next_held(const struct kad_node *node, uint64_t *cursor,
                                struct kad_held *held);

#ifdef __cplusplus
}
#endif

#endif

/* What is done about a crowded key. When the k closest to a key lie far more
 * densely than the estimated size of the overlay allows, somebody has gathered
 * ids of his own around it (vertical sybils): whoever takes only them at their
 * word stores into the void, and finds nothing.
 *
 * The honest holders are where they would be without them. They are looked for
 * beside the key: in each of the subtrees around it that hold k, k/2, k/4 …
 * nodes by the estimate, towards a random point, so that it costs ids all over
 * the region to be there as well. A get asks whom it finds there, too; a put
 * stores at the k closest of them, too.
 *
 *   looked up ─► crowded? ─► lookups beside the key ─► (get: ask them) ─► on
 */
#ifndef KAD_OPERATIONS_SYBIL_SEARCH_H
#define KAD_OPERATIONS_SYBIL_SEARCH_H

#include "operations/operation.h"

enum {
  KAD_SYBIL_SEARCH_POINTS = 4, /* subtrees that are searched, in each family */
  KAD_SYBIL_SEARCH_ASKED = 3   /* contacts that are asked or stored at, in k */
};

/* Looks beside the key of an operation whose lookups have ended, if it is
 * crowded. Returns true if that is under way: the operation's `looked_up`
 * follows. */
bool kad_sybil_search_begin(struct kad_node *node, struct kad_operation *op);

/* Copies up to `cap` contacts of `family` that were found beside the key,
 * closest first, to `out`, and returns their number. */
size_t kad_sybil_search_contacts(const struct kad_operation *op,
                                 unsigned family, struct kad_contact *out,
                                 size_t cap);

/* Returns how many queries were sent. */
uint32_t kad_sybil_search_messages(const struct kad_operation *op);

/* Ends and frees it; an operation without one is left as it is. */
void kad_sybil_search_free(struct kad_node *node, struct kad_operation *op);

#endif

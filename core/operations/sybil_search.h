/* Sybil search: finds honest holders of a dense key. When the k closest to a
 * key lie far more densely than the estimated size of the network allows, an
 * attacker has gathered ids around the key (vertical sybils). An operation that
 * trusts only these contacts stores nowhere, and finds nothing.
 *
 * The honest holders are where they would be without the sybils. The search
 * looks them up in each of the subtrees around the key that hold k, k/2, k/4 …
 * nodes by the estimate, at a random id, so that an attacker needs ids in all
 * of these subtrees. A get also queries the contacts that are found there, and
 * a put also stores at the k closest of them.
 *
 *   looked up ─► dense? ─► lookups in the subtrees ─► (get: queries) ─► on
 *
 * Tested by tests/sim/sybil_search_test.c.
 */
#ifndef KAD_OPERATIONS_SYBIL_SEARCH_H
#define KAD_OPERATIONS_SYBIL_SEARCH_H

#include "operations/operation.h"

enum {
  KAD_SYBIL_SEARCH_SUBTREES = 4 /* in each family */
};

/* Starts a search for an operation whose lookups have ended, if its key is
 * dense. Returns true if it has; the operation's `looked_up` follows. */
bool kad_sybil_search_start(struct kad_node *node, struct kad_operation *op);

/* Writes up to `cap` contacts of `family` that were found to `out`, closest
 * first, and returns their number. */
size_t kad_sybil_search_contacts(const struct kad_operation *op,
                                 unsigned family, struct kad_contact *out,
                                 size_t cap);

/* Returns the number of queries sent. */
uint32_t kad_sybil_search_messages(const struct kad_operation *op);

/* Ends and frees the search of an operation, if there is one. */
void kad_sybil_search_free(struct kad_node *node, struct kad_operation *op);

#endif

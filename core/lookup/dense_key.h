/* The test for a dense key: more ids near a key than the network size allows.
 * Vertical sybils look like that.
 *
 * Source of the approximation: Wilson and Hilferty 1931. */
#ifndef KAD_LOOKUP_DENSE_KEY_H
#define KAD_LOOKUP_DENSE_KEY_H

#include "kadenza.h"

/* Returns true if the k nodes closest to `target` that a lookup found lie so
 * densely that this has a probability of 1/1000 in an overlay of `size` nodes
 * with random ids. `farthest` is the id of the k-th; `k` is at least
 * KAD_NETWORK_SIZE_K_MIN. */
bool kad_key_is_dense(const struct kad_id *target,
                      const struct kad_id *farthest, size_t k, double size);

#endif

/* The versions of a mutable item that a put meets, in the replies to its gets.
 * A version that comes with its item and its signature is proven; a sequence
 * number alone is a claim.
 *
 * Tested by tests/unit/operations/item_reply_test.c. */
#ifndef KAD_OPERATIONS_ITEM_VERSIONS_H
#define KAD_OPERATIONS_ITEM_VERSIONS_H

#include "kadenza_codec.h"

/* Zero-initialised there are none. */
struct kad_item_versions {
  bool is_proven; /* a version that the put must not replace exists */
  bool has_seq;
  int64_t seq;        /* the highest of those that are proven, else of all */
  uint32_t conflicts; /* stores that were refused because of another version */
  uint32_t open;      /* gets under way that ask for it */
};

/* Reads the reply to a get with `known`, the sequence number that the put may
 * replace, for the item `ours`. */
void kad_item_versions_read(struct kad_node *node,
                            struct kad_item_versions *versions,
                            const struct kad_record *ours, int64_t known,
                            const struct kad_message *reply);

#endif

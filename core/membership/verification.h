/* Verification: an address that claims an id is pinged before it is believed.
 * Pings are few at a time and a second, so that nobody can have us reflect a
 * flood at a victim. */
#ifndef KAD_MEMBERSHIP_VERIFICATION_H
#define KAD_MEMBERSHIP_VERIFICATION_H

#include "base/token_bucket.h"

struct kad_node;

enum {
  KAD_VERIFICATION_MAX = 64, /* pings in flight */
  KAD_VERIFICATION_OURS =
      16, /* of these for contacts of our table alone: strangers
       who do not answer must not keep us from asking */
  KAD_VERIFICATION_SUBNET = 8, /* of these to one subnet, which cannot have more
                            contacts in a table; local addresses, where they
                            are allowed, are exempt */
  KAD_VERIFICATION_PER_S = 50, /* pings a second, after a burst of the above */
};

/* The pings of a node that verify contacts. Zero-initialised none is under way.
 */
struct kad_verification {
  struct kad_address *pending; /* room for `cap`, or NULL; family 0: free */
  size_t cap;                  /* at most KAD_VERIFICATION_MAX */
  size_t count;
  struct kad_token_bucket allowance;
};

/* Frees the memory of the verification; for kad_node_free. */
void kad_verification_deinit(struct kad_node *node);

/* Notes that `contact` sent us a query, and pings it unless it is known or
 * being pinged, or strangers have their share of the pings. */
void kad_verification_seen(struct kad_node *node,
                           const struct kad_contact *contact);

/* Pings a contact of our table, to see whether it still answers, or one that a
 * neighbour has told us of. */
void kad_verification_probe(struct kad_node *node,
                            const struct kad_contact *contact);

#endif

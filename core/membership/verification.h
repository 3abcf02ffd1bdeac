/* Verification: a ping of an address, before the node believes that the id that
 * claims it is there. The pings are limited in flight and in rate, so that an
 * attacker cannot make the node flood a victim with pings. */
#ifndef KAD_MEMBERSHIP_VERIFICATION_H
#define KAD_MEMBERSHIP_VERIFICATION_H

#include "base/token_bucket.h"

struct kad_node;

enum {
  KAD_VERIFICATION_MAX = 64,   /* pings in flight */
  KAD_VERIFICATION_OURS = 16,  /* of these only for contacts of our tables, so
                                  that strangers that do not answer cannot
                                  prevent their pings */
  KAD_VERIFICATION_SUBNET = 8, /* of these to one subnet, which cannot have more
                                  contacts in a table; local addresses, where
                                  they are allowed, are exempt */
  KAD_VERIFICATION_PER_S = 50, /* pings to strangers in a second, after a burst
                                  of KAD_VERIFICATION_MAX */
  KAD_VERIFICATION_CUT_PER_S = 20 /* of those to senders whose reply was cut,
                                     and as many in a burst */
};

/* The pings of a node in flight. Zero-initialised there are none. */
struct kad_verification {
  struct kad_address *pending; /* room for `cap`, or NULL; family 0: free */
  size_t cap;                  /* at most KAD_VERIFICATION_MAX */
  size_t count;
  struct kad_token_bucket strangers;
  struct kad_token_bucket cut;
};

/* Frees the memory; for kad_node_free. */
void kad_verification_deinit(struct kad_node *node);

/* Pings `contact`: one of a table, as a liveness check, or one that a neighbour
 * named. Does nothing if it is being pinged or a limit is reached. */
void kad_verification_ping(struct kad_node *node,
                           const struct kad_contact *contact);

/* Pings `contact`, a stranger that sent us a query. Limited in rate too. */
void kad_verification_ping_stranger(struct kad_node *node,
                                    const struct kad_contact *contact);

/* Pings `contact`, whose query got a reply that was cut because its address is
 * not proven: its answer proves it. Has a limit of its own, so that forged
 * queries do not use up that of strangers who may enter the table. */
void kad_verification_ping_cut(struct kad_node *node,
                               const struct kad_contact *contact);

#endif

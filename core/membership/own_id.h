/* Our own id, and the address that it fits (BEP 42).
 *
 *   the node is opened at a global address ─► its id fits that from the start
 *   a reply to a query of ours says `ip` ─► vote (address_vote.h) ─► winner
 *   the id does not fit the winner ─► the node moves to an id that does
 *
 * An id fits one address. IPv6 counts only while the node has no contact over
 * IPv4: most of the DHT is there, and few nodes have both.
 *
 * A move takes the tables along: all contacts are sorted into buckets round the
 * new id, and the node looks for its new neighbours. Records stay, and are
 * offered to the nodes that are closest to them now (node/hasten.h). Lookups
 * and other operations go on. After a move the node keeps its id for
 * KAD_OWN_ID_KEEP_MS, wherever it seems to be.
 *
 * The id that its user gave is kept, unless the option move_id is on.
 *
 * Tested by tests/unit/membership/own_id_test.c, tests/sim/own_id_test.c. */
#ifndef KAD_MEMBERSHIP_OWN_ID_H
#define KAD_MEMBERSHIP_OWN_ID_H

#include "base/address.h"
#include "engine/timer.h"
#include "membership/address_vote.h"

enum {
  KAD_OWN_ID_KEEP_MS = 3600000, /* from one move to the next */
  KAD_OWN_ID_RETRY_MS = 60000   /* when out of memory */
};

struct kad_own_id {
  struct kad_address_vote votes[KAD_FAMILIES];
  struct kad_address bound; /* at which the node was opened; family 0: none */
  struct kad_timer timer;   /* the move that is due */
  struct kad_id previous;   /* before the last move */
  kad_time_ms moved_at;
  uint32_t moves;
  bool may_move;
};

/* Makes the id fit the first global address of `count`, of IPv4 if there is
 * one, unless our user gave the id. For a node without families. */
void kad_own_id_bind(struct kad_node *node, const struct kad_address *addresses,
                     size_t count);

/* Notes that `voter`, which has answered a query, sees us at `observed`, whose
 * family may be 0. */
void kad_own_id_vote(struct kad_node *node, const struct kad_contact *voter,
                     const struct kad_address *observed);

/* Stops the move that is due, and frees the votes; for kad_node_free. */
void kad_own_id_stop(struct kad_node *node);

#endif

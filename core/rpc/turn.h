/* Turns: how long the node works for others before the network receives what
 * has arrived meanwhile. In each turn the node serves what arrives; work that
 * comes when the turn has taken long waits in the backlog for the next ones.
 * Queries without much work, such as pings, wait for none of that.
 *
 *     datagram ─► work ─► served                     (nothing waits)
 *                  └────► backlog ─► a turn ─► served
 *                            └── full ─► error 202
 *
 * A policy whose scripts have had their share of the turn is busy: what waits
 * is put off, a few turns at most.
 *
 * The time comes from env.turn_us. In virtual time turns take none, and nothing
 * waits.
 *
 * Tested by tests/unit/rpc/turn_test.c. */
#ifndef KAD_RPC_TURN_H
#define KAD_RPC_TURN_H

#include "engine/timer.h"
#include "rpc/backlog.h"

struct kad_turn {
  struct kad_backlog backlog;
  struct kad_timer timer; /* serves the backlog in the next turn */
  unsigned
      put_off; /* turns in which the policy was busy, one after the other */
  bool owes;   /* the item that is served may do one piece of work, however long
                  the turn has taken, so that each turn brings it further */
};

/* Begins with nothing that waits. */
void kad_turn_init(struct kad_node *node);

/* Refuses all that waits. The node is closing: nothing waits any more. */
void kad_turn_deinit(struct kad_node *node);

/* Returns true if new work must wait: others do, the turn has taken long, or
 * the policy is busy. */
bool kad_turn_is_taken(const struct kad_node *node);

/* Returns true if work that has begun must wait before its next piece, which
 * takes as long as a signature. Returns false once for each item of the backlog
 * that has its turn. */
bool kad_turn_is_over(struct kad_node *node);

/* Lets `item` of `from` wait for its turn. May refuse another item, see
 * rpc/backlog.h. Returns 0, KAD_EFULL or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_turn_wait(struct kad_node *node,
                                 const struct kad_address *from,
                                 struct kad_backlog_item *item,
                                 enum kad_backlog_place place);

#endif

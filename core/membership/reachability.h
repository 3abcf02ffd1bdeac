/* Reachability: whether strangers reach us, for each address family, and
 * whether we are read-only therefore (BEP 43, option read_only at `auto`).
 *
 * An *unasked query* comes from a host that its receiver has sent nothing to
 * for KAD_REACHABILITY_SENT_MS: no NAT keeps a hole open for it. In an overlay
 * of equals a node gets about as many unasked queries as it sends by itself
 * and are answered. So the answers to ours are the measure of how long to wait
 * for one of others. In an overlay in which all nodes talk to each other all
 * the time there are neither: then nothing is decided.
 *
 *              ┌───────────── an unasked query came ──────────────┐
 *              ▼                                                  │
 *   UNKNOWN ─► REACHABLE ──────── two windows without one ──► UNREACHABLE
 *      └──────────────────────────────┘                        read-only
 *                                                               │     ▲
 *                                                     after REST_MS   after
 *                                                               ▼  ASK_MS
 *                                                              asks without ro
 *
 * A window takes WINDOW_MS, and longer until so many unasked queries of ours
 * are answered, from so many subnets. Of the time before the first answer only
 * QUIET_MS count: the node may have been cut off. In the last one
 * the node waits longer before it checks its contacts: those that have it in
 * their tables check it first, if they can. Where contacts in several subnets
 * see us at different ports, which is the sign of a symmetric NAT, one window
 * suffices.
 *
 * A stranger can only make us reachable: by a query, even a forged one. It
 * cannot keep the queries of others out.
 *
 * Tested by tests/unit/membership/reachability_test.c,
 * tests/sim/read_only_test.c. Source: BEP 43. */
#ifndef KAD_MEMBERSHIP_REACHABILITY_H
#define KAD_MEMBERSHIP_REACHABILITY_H

#include "engine/timer.h"
#include "kadenza_reachability.h"

enum {
  KAD_REACHABILITY_SENT_MS = 270000, /* and at most twice that: less than the
                                        ping_s after which contacts check us */
  KAD_REACHABILITY_WINDOW_MS = 900000,
  KAD_REACHABILITY_QUIET_MS = 300000,
  KAD_REACHABILITY_WINDOWS = 2,
  KAD_REACHABILITY_ANSWERS = 16,      /* in a window */
  KAD_REACHABILITY_SUBNETS = 8,       /* that they are of */
  KAD_REACHABILITY_REST_MS = 1800000, /* from one asking to the next */
  KAD_REACHABILITY_ASK_MS = 300000,
  KAD_REACHABILITY_PORTS = 16 /* the latest votes on our port */
};

/* The port at which a subnet sees us. */
struct kad_port_vote {
  uint32_t subnet; /* keyed hash */
  uint16_t port;
};

/* The reachability of one family. */
struct kad_reachability_state {
  struct kad_timer timer; /* while unreachable: the next asking, or its end */
  kad_time_ms window_at;  /* start of the window */
  kad_time_ms unasked_at; /* the last unasked query */
  uint32_t subnets[KAD_REACHABILITY_SUBNETS]; /* keyed hashes, of the answers */
  struct kad_port_vote ports[KAD_REACHABILITY_PORTS];
  uint8_t subnet_count;
  uint8_t port_count;
  uint8_t next_port;
  uint8_t answers;
  uint8_t windows; /* that have passed without an unasked query */
  uint8_t state;   /* enum kad_reachability */
  bool read_only;
};

/* Begins the first window. */
void kad_reachability_start(struct kad_node *node);

/* Stops the timers; for kad_node_free. */
void kad_reachability_stop(struct kad_node *node);

/* Notes that a query came from `from`. */
void kad_reachability_queried(struct kad_node *node,
                              const struct kad_address *from);

/* Notes that `from` has answered an unasked query that the node sent by
 * itself. */
void kad_reachability_answered(struct kad_node *node,
                               const struct kad_address *from);

/* Notes that `from`, which has answered, sees us at `observed`, whose family
 * may be 0. */
void kad_reachability_vote(struct kad_node *node,
                           const struct kad_address *from,
                           const struct kad_address *observed);

/* Begins again: we may be in another network, since the machine was suspended
 * or others see us at another ip. A node that is unreachable asks
 * at once. */
void kad_reachability_restart(struct kad_node *node);

/* Returns true if a contact that was last seen at `last_seen` is left to check
 * us first. */
bool kad_reachability_waits(const struct kad_node *node, unsigned family,
                            kad_time_ms last_seen);

#endif

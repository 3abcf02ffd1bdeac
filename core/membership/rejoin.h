/* Rejoin: joins again through the known addresses and names (names.h), those
 * that the node was bootstrapped with, while it is isolated or none of them has
 * answered yet. The time between two joins doubles with each that fails.
 * Tested by tests/sim/join_test.c, tests/sim/recovery_test.c. */
#ifndef KAD_MEMBERSHIP_REJOIN_H
#define KAD_MEMBERSHIP_REJOIN_H

#include "kadenza.h"

enum {
  KAD_REJOIN_KNOWN_MAX = 256, /* known addresses */
  KAD_REJOIN_MIN_MS = 5000,
  KAD_REJOIN_MAX_MS = 600000,
  KAD_REJOIN_NAMES_MAX_MS = 60000 /* while no name resolves, and nothing else
                                     is known: no other node is asked */
};

/* The known addresses, and when to join again. */
struct kad_rejoin {
  struct kad_address *known; /* or NULL */
  size_t known_count;
  size_t known_cap;
  size_t known_next; /* the oldest, which is replaced when there are many */
  bool requested;    /* our user has called kad_node_bootstrap */
  bool reached;      /* a known address has answered */
  bool running;
  kad_time_ms at;       /* the next join */
  kad_time_ms after_ms; /* the time from one join to the next */
};

/* Begins without known addresses. */
void kad_rejoin_start(struct kad_node *node);

/* Frees the known addresses. */
void kad_rejoin_stop(struct kad_node *node);

/* Adds known addresses, except our own. Keeps the latest KAD_REJOIN_KNOWN_MAX.
 */
void kad_rejoin_remember(struct kad_node *node, const struct kad_address *known,
                         size_t count);

/* Removes a known address that has turned out to be our own. */
void kad_rejoin_forget(struct kad_node *node, const struct kad_address *own);

/* Returns the known address `index`, those of names included, or NULL at the
 * end. */
const struct kad_address *kad_rejoin_known(const struct kad_node *node,
                                           size_t index);

/* Returns true if our user has asked to join, and not only through addresses of
 * our own. */
bool kad_rejoin_is_wanted(const struct kad_node *node);

/* Notes that a known address has answered. */
void kad_rejoin_reached(struct kad_node *node);

/* Notes that a join has succeeded. */
void kad_rejoin_succeeded(struct kad_node *node);

/* Emits the event `rejoin_due` if it is time: the node is isolated, or no known
 * address has answered yet. Without the latter, nodes that found only each
 * other would form an overlay of their own. */
void kad_rejoin_round(struct kad_node *node);

/* Notes that a rejoin has started, and how it ended. */
void kad_rejoin_started(struct kad_node *node);
void kad_rejoin_ended(struct kad_node *node, int status);

/* Returns when the next join is due; KAD_TIME_NEVER if none is. */
kad_time_ms kad_rejoin_due(const struct kad_node *node);

#endif

/* The addresses that we have joined by, and joining again by way of them: while
 * nobody answers, ever less often. */
#ifndef KAD_MEMBERSHIP_REJOIN_H
#define KAD_MEMBERSHIP_REJOIN_H

#include "kadenza.h"

enum {
  KAD_KNOWN_MAX = 256,      /* addresses remembered */
  KAD_REJOIN_MIN_MS = 5000, /* back-off of a bootstrap that is silent */
  KAD_REJOIN_MAX_MS = 600000
};

/* Where to join again from, and when. */
struct kad_rejoin {
  struct kad_address *known; /* or NULL */
  size_t known_count;
  size_t known_cap;
  size_t known_next; /* the one to be forgotten next, once all are taken */
  bool asked;        /* to join, by our user */
  bool reached;      /* a known address has answered */
  bool running;
  kad_time_ms at;
  kad_time_ms after; /* the present back-off */
};

/* Begins without addresses; frees them. */
void kad_rejoin_start(struct kad_node *node);
void kad_rejoin_stop(struct kad_node *node);

/* Remembers where to join again from, besides what it remembers already; of
 * more than KAD_KNOWN_MAX the latest. */
void kad_rejoin_remember(struct kad_node *node, const struct kad_address *known,
                         size_t count);

/* Notes that a known address has answered: we are no island. */
void kad_rejoin_reached(struct kad_node *node);

/* Notes that a join has ended well. */
void kad_rejoin_succeeded(struct kad_node *node);

/* Joins again if it is time: while we are alone, or as long as no known address
 * has ever answered. Others may have found us, and all of us be cut off from
 * the rest. */
void kad_rejoin_round(struct kad_node *node);

/* Returns when that may be; KAD_TIME_NEVER without a reason to. */
kad_time_ms kad_rejoin_due(const struct kad_node *node);

#endif

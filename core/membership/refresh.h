/* Refresh: background lookups of our own id, and of a random id in each bucket
 * that had no lookup for refresh_s. One lookup runs at a time.
 *
 *   join ─► own id ─► a random id in every bucket farther than the closest
 *                     neighbour
 *   idle ─► own id and each bucket once in refresh_s
 *
 * Lookups of our own id are frequent at first; their interval doubles each
 * time. Source: Kademlia §2.3. Tested by tests/sim/refresh_test.c. */
#ifndef KAD_MEMBERSHIP_REFRESH_H
#define KAD_MEMBERSHIP_REFRESH_H

#include "base/address.h"
#include "lookup/lookup.h"

enum {
  KAD_REFRESH_K = 8, /* k of the lookup of a random id, or the node's if less */
  KAD_REFRESH_THROUGH_MS =
      120000, /* between two lookups through a lost contact */
  KAD_REFRESH_SELF_MIN_MS = 10000 /* the shortest interval of own-id lookups */
};

/* The background lookups of a node. Arrays have an element for each family. */
struct kad_refresh {
  struct kad_lookup *lookup;               /* the one that runs, or NULL */
  size_t far_buckets[KAD_FAMILIES];        /* buckets below it are next */
  kad_time_ms self_at[KAD_FAMILIES];       /* the next own-id lookup */
  kad_time_ms self_after_ms[KAD_FAMILIES]; /* the interval of own-id lookups */
  kad_time_ms through_at; /* kad_refresh_through does nothing before */
};

/* Begins with frequent own-id lookups. */
void kad_refresh_start(struct kad_node *node);

/* Frees the lookup that runs. */
void kad_refresh_stop(struct kad_node *node);

/* Starts the background lookup that is due, unless one runs. */
void kad_refresh_next(struct kad_node *node);

/* Refreshes every bucket farther than the closest neighbour, one after the
 * other. Source: Kademlia §2.3. */
void kad_refresh_far_buckets(struct kad_node *node);

/* Sets the shortest interval of own-id lookups for the family `index`, and the
 * next one to `at` at the latest. */
void kad_refresh_self_soon(struct kad_node *node, size_t index, kad_time_ms at);

/* Looks our own id up, starting from `contact` alone, which knows nodes of
 * another partition. Does nothing while a lookup runs, or if it was done less
 * than KAD_REFRESH_THROUGH_MS ago. */
void kad_refresh_through(struct kad_node *node,
                         const struct kad_contact *contact);

/* Returns when the next own-id lookup is due; KAD_TIME_NEVER if never. */
kad_time_ms kad_refresh_due(const struct kad_node *node);

#endif

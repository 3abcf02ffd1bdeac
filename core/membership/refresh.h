/* Background lookups: of our own id, often at first and ever less often, and of
 * a random id in each bucket that was not looked into for a period. One runs at
 * a time.
 *
 *   join ──► own id ──► every bucket farther than the closest neighbour
 *   idle ──► own id and each bucket once in refresh_s
 *
 * Source: Kademlia §2.3. */
#ifndef KAD_MEMBERSHIP_REFRESH_H
#define KAD_MEMBERSHIP_REFRESH_H

#include "base/address.h"
#include "lookup/lookup.h"

enum {
  KAD_REFRESH_WIDTH = 8,   /* of the lookup of a random id; k if that is less */
  KAD_THROUGH_MS = 120000, /* between two lookups on the other side */
  KAD_SELF_MIN_MS = 10000 /* between own-id lookups, while the table is small */
};

/* The background lookups of a node, a family each where there are two. */
struct kad_refresh {
  struct kad_lookup *lookup;    /* that runs, or NULL */
  size_t farther[KAD_FAMILIES]; /* buckets below this one are to be refreshed */
  kad_time_ms self_at[KAD_FAMILIES];    /* the next own-id lookup */
  kad_time_ms self_after[KAD_FAMILIES]; /* its period, which grows */
  kad_time_ms through_at; /* the next lookup on the other side may begin */
};

/* Begins with frequent own-id lookups; frees the lookup that runs. */
void kad_refresh_start(struct kad_node *node);
void kad_refresh_stop(struct kad_node *node);

/* Starts the background lookup that is due, unless one runs. */
void kad_refresh_next(struct kad_node *node);

/* Refreshes every bucket farther than the closest neighbour, one after the
 * other, from now on. Source: Kademlia §2.3. */
void kad_refresh_farther(struct kad_node *node);

/* Lets own-id lookups of the family `index` be frequent again, the next one at
 * `at` at the latest. */
void kad_refresh_soon(struct kad_node *node, size_t index, kad_time_ms at);

/* Looks our own id up among those whom `contact` knows, and nobody else: it is
 * of a part of the overlay that we do not know. Nothing happens while another
 * lookup runs, or when it was done less than KAD_THROUGH_MS ago. */
void kad_refresh_through(struct kad_node *node,
                         const struct kad_contact *contact);

/* Returns when the next own-id lookup is due; KAD_TIME_NEVER without contacts.
 */
kad_time_ms kad_refresh_due(const struct kad_node *node);

#endif

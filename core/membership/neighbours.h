/* Neighbours: the contacts closest to ourselves, in each address family. They
 * hold the records that we hold. Where the node prefers secure contacts, these
 * come first. From the first record that it holds, this node
 * checks each neighbour that was silent for `neighbour_s` with a find_node for
 * our own id, so that it learns soon which nodes joined and which left. A query
 * from a neighbour counts as a sign of life: of two neighbours, only one checks
 * the other. The buckets need not have room for all neighbours, so they are
 * kept apart.
 *
 *   answered us, and closer than the farthest ─► neighbour: `neighbour_joined`
 *   query unanswered ─► checked again ─► unanswered: `neighbour_left`; the next
 *                                        closest contact takes its place
 *
 * Source: Kademlia §2.5. Where we are the closest holder of a key, the k
 * closest to the key are almost the k closest to us. Tested by
 * tests/sim/neighbours_test.c, tests/sim/handoff_test.c.
 */
#ifndef KAD_MEMBERSHIP_NEIGHBOURS_H
#define KAD_MEMBERSHIP_NEIGHBOURS_H

#include "base/address.h"
#include "engine/timer.h"

enum {
  KAD_NEIGHBOURS_MORE = 2,      /* neighbours besides k */
  KAD_NEIGHBOURS_LEFT = 8,      /* remembered, because others still name them */
  KAD_NEIGHBOURS_NAMED = 4,     /* contacts of a reply that are pinged */
  KAD_NEIGHBOUR_RETRY_MS = 2000 /* after an unanswered query */
};

struct kad_neighbour {
  struct kad_contact contact;
  bool is_secure;       /* its id fits its address, or need not */
  uint8_t failures;     /* queries in a row without an answer */
  kad_time_ms check_at; /* unless it gives a sign of life before */
  uint64_t replies;     /* of all contacts, at the first of the failures */
};

struct kad_former_neighbour {
  struct kad_contact contact;
  kad_time_ms left_at;
};

/* The neighbours of one family, closest first. */
struct kad_closest_set {
  struct kad_neighbour *items; /* NULL: no socket of that family */
  size_t count;
  size_t cap;
};

struct kad_neighbours {
  struct kad_timer timer;
  struct kad_closest_set families[KAD_FAMILIES];
  struct kad_former_neighbour former[KAD_NEIGHBOURS_LEFT];
  size_t next_former;
};

/* Starts the checks; call it when records are held. When out of memory for all
 * neighbours, the call for a later record tries again; when out of memory for
 * one family, its neighbours are never checked. */
void kad_neighbours_start(struct kad_node *node);

/* Chooses all neighbours again from the tables: our own id is another one. */
void kad_neighbours_moved(struct kad_node *node);

/* Stops the checks and frees the neighbours; for kad_node_free. */
void kad_neighbours_stop(struct kad_node *node);

/* Notes that `contact` has answered us, and may be in the table. */
void kad_neighbours_contact_answered(struct kad_node *node,
                                     const struct kad_contact *contact);

/* Notes that `contact` has queried us. */
void kad_neighbours_contact_queried(struct kad_node *node,
                                    const struct kad_contact *contact);

/* Notes that `contact` has not answered a query. */
void kad_neighbours_contact_failed(struct kad_node *node,
                                   const struct kad_contact *contact);

/* Notes that another id answers at the address of `contact`. */
void kad_neighbours_contact_replaced(struct kad_node *node,
                                     const struct kad_contact *contact);

/* Returns true if `contact` would become a neighbour if it answered us. */
bool kad_neighbours_want(const struct kad_node *node,
                         const struct kad_contact *contact);

/* Returns the neighbours of a family, or NULL. Valid until the next change. */
const struct kad_closest_set *kad_neighbours_of(const struct kad_node *node,
                                                unsigned family);

/* Returns the number of neighbours that are closer to `key` than `id`. */
size_t kad_closest_set_count_closer(const struct kad_closest_set *set,
                                    const struct kad_id *key,
                                    const struct kad_id *id);

#endif

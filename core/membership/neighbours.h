/* The contacts closest to ourselves, in each address family: they hold what we
 * hold. While records are held here, one that was silent for `neighbour_s` is
 * asked for the contacts closest to us, so that we know soon who has died and
 * who has come. A query of its own is a sign of life, so that of two neighbours
 * one asks. They are known apart from the buckets, which need not have room for
 * all of them.
 *
 *   answered us, closer than the farthest ─► neighbour ─► handed our records
 *                     asked again ◄── a query unanswered ─┤
 *                     gone: the next has its place ◄── a second one
 *
 * Source: Kademlia §2.5; the k closest to a key of whose holders we are the
 * closest are, but for a few, the k closest to us. */
#ifndef KAD_MEMBERSHIP_NEIGHBOURS_H
#define KAD_MEMBERSHIP_NEIGHBOURS_H

#include "base/address.h"
#include "engine/timer.h"

enum {
  KAD_NEIGHBOURS_MORE = 2, /* than k are watched */
  KAD_NEIGHBOURS_GONE = 8, /* that are remembered, so that what others still
                              tell of them is not believed */
  KAD_NEIGHBOURS_TOLD = 4, /* contacts of a reply that are looked at more
                              closely */
  KAD_NEIGHBOUR_RETRY_MS = 2000 /* after a query was left unanswered */
};

struct kad_neighbour {
  struct kad_contact contact;
  uint8_t lost;       /* queries in a row that it left unanswered */
  kad_time_ms ask_at; /* unless it gives a sign of life before */
  uint64_t replies;   /* of anybody, when it left the first one unanswered */
};

/* One that has died. */
struct kad_gone {
  struct kad_contact contact;
  kad_time_ms at;
};

/* The neighbours of one family, closest first. */
struct kad_neighbourhood {
  struct kad_neighbour *items; /* NULL: no socket of that family */
  size_t count;
  size_t cap;
};

struct kad_neighbours {
  struct kad_timer timer;
  struct kad_neighbourhood families[KAD_FAMILIES];
  struct kad_gone gone[KAD_NEIGHBOURS_GONE];
  size_t next_gone;
};

/* Begins to watch, once records are held. When memory is short, it begins with
 * a later record. */
void kad_neighbours_start(struct kad_node *node);

/* Stops everything; for kad_node_free. */
void kad_neighbours_stop(struct kad_node *node);

/* Notes that `contact` has answered us, and may be in the table. */
void kad_neighbours_met(struct kad_node *node,
                        const struct kad_contact *contact);

/* Returns true if `contact` would be a neighbour, once it has answered us. */
bool kad_neighbours_want(const struct kad_node *node,
                         const struct kad_contact *contact);

/* Notes that `contact` has queried us. */
void kad_neighbours_heard(struct kad_node *node,
                          const struct kad_contact *contact);

/* Notes that `contact` has left a query unanswered. */
void kad_neighbours_lost(struct kad_node *node,
                         const struct kad_contact *contact);

/* Notes that another id answers at the address of `contact`. */
void kad_neighbours_gone(struct kad_node *node,
                         const struct kad_contact *contact);

/* Returns the neighbours of a family; NULL for none. Valid until the next
 * change. */
const struct kad_neighbourhood *kad_neighbours_of(const struct kad_node *node,
                                                  unsigned family);

/* Returns how many neighbours are closer to `key` than `id`. */
size_t kad_neighbourhood_closer(const struct kad_neighbourhood *hood,
                                const struct kad_id *key,
                                const struct kad_id *id);

#endif

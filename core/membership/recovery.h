/* Contacts that we have lost, and known addresses that we have no contact at:
 * where the other side of a partition may be found again, or another island.
 *
 *   contact found dead ─► lost ──answers again──► does it tell of neighbours
 *                          │ ▲                    whom we do not know?
 *                 asked ever more rarely            └─► our own id is looked up
 *                          └─► forgotten after a day    on its side
 *
 * Nodes of both sides that do so meet around every id; lookups then find their
 * way from either side. Who is asked tells the contacts closest to us: one
 * query a minute at most, none while nobody was lost. */
#ifndef KAD_MEMBERSHIP_RECOVERY_H
#define KAD_MEMBERSHIP_RECOVERY_H

#include "kadenza.h"

enum {
  KAD_RECOVERY_MAX = 32,         /* contacts remembered, any of those lost */
  KAD_RECOVERY_EVERY_MS = 60000, /* between two probes */
  KAD_RECOVERY_SHARE = 8,        /* a contact is asked again after this part of
                                the time that it has been lost */
  KAD_RECOVERY_FORGET_MS =
      86400000,               /* contacts lost for so long are forgotten */
  KAD_KNOWN_EVERY_MS = 600000 /* between probes of known addresses */
};

struct kad_lost_contact {
  struct kad_contact contact;
  kad_time_ms lost_at;
  kad_time_ms ask_at;
};

/* Those of a node. Zero-initialised there are none. */
struct kad_recovery {
  struct kad_lost_contact *items; /* room for `cap`, or NULL */
  size_t count;
  size_t cap;          /* at most KAD_RECOVERY_MAX */
  kad_time_ms free_at; /* the next call may be asked */
  kad_time_ms known_at;
  size_t known_next; /* of the known addresses, to be asked */
};

/* Notes that `contact`, which was in a table, is bad now. Among many any one
 * makes way for it: so that some of each time are left. */
void kad_recovery_add(struct kad_node *node, const struct kad_contact *contact);

/* Notes that `contact` has answered us. */
void kad_recovery_found(struct kad_node *node,
                        const struct kad_contact *contact);

/* Asks one of them if it is time. */
void kad_recovery_round(struct kad_node *node);

/* Frees all. */
void kad_recovery_stop(struct kad_node *node);

#endif

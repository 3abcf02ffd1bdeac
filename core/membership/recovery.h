/* Partition recovery: after a partition of the network, finds the nodes of the
 * other side. Asks lost contacts, and known addresses (rejoin.h) without a
 * contact, for the contacts closest to us.
 *
 *   contact becomes bad ─► lost ─► reconnect probe, over time more rarely
 *                                    │          └─► forgotten after a day
 *                                    ▼
 *              its reply has neighbours that we do not know
 *                                    ▼
 *              own-id lookup through it (refresh.h)
 *
 * When nodes of both sides do so, neighbours know each other again around every
 * id, and lookups from either side find both. Sends about one probe a minute at
 * most: to lost contacts that are due, else every 10 minutes to a known address
 * without a contact.
 * Tested by tests/sim/recovery_test.c, tests/sim/healing_test.c. */
#ifndef KAD_MEMBERSHIP_RECOVERY_H
#define KAD_MEMBERSHIP_RECOVERY_H

#include "kadenza.h"

enum {
  KAD_RECOVERY_MAX = 32,         /* lost contacts */
  KAD_RECOVERY_EVERY_MS = 60000, /* between two probes */
  KAD_RECOVERY_SHARE = 8,        /* the interval of a contact's probes is
                                    this part of the time since its loss */
  KAD_RECOVERY_FORGET_MS =
      86400000, /* a contact lost for so long is forgotten */
  KAD_RECOVERY_KNOWN_EVERY_MS =
      600000 /* between two probes of known addresses */
};

struct kad_lost_contact {
  struct kad_contact contact;
  kad_time_ms lost_at;
  kad_time_ms probe_at;
};

/* The lost contacts of a node. Zero-initialised there are none. */
struct kad_recovery {
  struct kad_lost_contact *items; /* room for `cap`, or NULL */
  size_t count;
  size_t cap;           /* at most KAD_RECOVERY_MAX */
  kad_time_ms probe_at; /* no probe before */
  kad_time_ms known_at; /* no probe of a known address before */
  size_t known_index;   /* the known address that was probed last */
};

/* Adds `contact`, a contact of a table that has become bad. If there is no
 * room, it replaces a lost contact at random, so that contacts lost at
 * different times remain. */
void kad_recovery_add(struct kad_node *node, const struct kad_contact *contact);

/* Removes `contact`, which has answered. */
void kad_recovery_remove(struct kad_node *node,
                         const struct kad_contact *contact);

/* Sends a reconnect probe to `address`, unless it has a contact or its family
 * has no socket. Returns true if it was sent. */
bool kad_recovery_probe(struct kad_node *node,
                        const struct kad_address *address);

/* Sends a reconnect probe if one is due. */
void kad_recovery_round(struct kad_node *node);

/* Frees the lost contacts. */
void kad_recovery_stop(struct kad_node *node);

#endif

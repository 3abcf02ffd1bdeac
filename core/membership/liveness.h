/* Liveness: one questionable contact is checked with a ping in each maintenance
 * round, the one that was seen longest ago first; bad contacts leave the table.
 * Also finds out whether the node is isolated: then no contact answers, bad
 * contacts stay in the table, and they are checked until one answers.
 * Source: BEP 5 "Routing Table".
 * Tested by tests/unit/membership/maintenance_test.c,
 * tests/sim/contacts_test.c.
 */
#ifndef KAD_MEMBERSHIP_LIVENESS_H
#define KAD_MEMBERSHIP_LIVENESS_H

#include "kadenza.h"

enum {
  KAD_LIVENESS_PRUNE_MS = 60000, /* between two removals of bad contacts */
  KAD_ISOLATION_TIMEOUTS = 4,    /* queries in a row without any answer, after
                                    which the contact seen last is checked */
  KAD_ISOLATION_CHECKS = 4 /* such checks without any answer, after which the
                              node is isolated */
};

/* What the node knows of whether contacts answer it. */
struct kad_liveness {
  kad_time_ms prune_at;      /* bad contacts stay until then */
  uint64_t answers;          /* at the start of the last round */
  uint64_t timeouts;         /* at the last round that followed an answer */
  uint32_t isolation_checks; /* since that round */
  size_t family_index;       /* of the table that was checked last */
  bool had_contacts;
  bool isolated; /* at the start of the last round */
};

/* Keeps bad contacts for ping_s from now, so that contacts that were silent
 * while the node was away have the time to answer. */
void kad_liveness_delay_prune(struct kad_node *node);

/* Updates `isolated` at the start of a round, and removes bad contacts unless
 * the node is isolated or still waits as kad_liveness_delay_prune says. Returns
 * true if the node was isolated, though it had contacts, and no longer is. */
bool kad_liveness_update(struct kad_node *node);

/* Checks the questionable contact that was seen longest ago. If the node may be
 * isolated, checks the contact that was seen last instead. */
void kad_liveness_check(struct kad_node *node);

/* Notes that `contact` left a query unanswered. If a contact of a table becomes
 * bad, partition recovery remembers it. */
void kad_liveness_contact_failed(struct kad_node *node,
                                 const struct kad_contact *contact);

/* Returns true if a table has a contact that is not bad. */
bool kad_liveness_has_contacts(const struct kad_node *node);

/* Returns true if the node is isolated: every contact is bad, or contacts seen
 * last were checked, and neither they nor any others answered. */
bool kad_liveness_is_isolated(const struct kad_node *node);

#endif

/* Contact admission: which contacts enter the routing table, from their queries
 * and replies.
 *
 *   queries us ─► in the table: noted there
 *                 useful there: verified with a ping (verification.h)
 *   queries us with `ro` ─► in the table: pinged; it is bad if it is silent
 *   answers us ─► the policy's on_contact ─► table, neighbours
 *
 * Tested by tests/unit/membership/verification_test.c,
 * tests/unit/engine/hook_call_test.c, tests/sim/contacts_test.c. */
#ifndef KAD_MEMBERSHIP_CONTACT_ADMISSION_H
#define KAD_MEMBERSHIP_CONTACT_ADMISSION_H

#include "kadenza.h"

/* Notes that `contact` queried us. Pings it unless it is known or of no use. */
void kad_contact_queried(struct kad_node *node,
                         const struct kad_contact *contact);

/* Notes that `contact` queried us and said that it is read-only. It does not
 * enter the table. If it is in there, it is pinged, since its address may be
 * forged: a read-only node does not answer, and becomes bad. Source: BEP 43. */
void kad_contact_is_read_only(struct kad_node *node,
                              const struct kad_contact *contact);

/* Notes that `contact` answered a query, which was `cold` or not, after
 * `rtt_ms`: calls on_contact, then adds the contact to its table. */
void kad_contact_answered(struct kad_node *node,
                          const struct kad_contact *contact, uint32_t rtt_ms,
                          bool cold);

#endif

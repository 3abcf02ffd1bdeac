/* Contact admission: a contact that answered a query enters its table, if the
 * policy accepts it. */
#ifndef KAD_MEMBERSHIP_CONTACT_ADMISSION_H
#define KAD_MEMBERSHIP_CONTACT_ADMISSION_H

#include "kadenza.h"

/* Notes that `contact` answered a query after `rtt_ms`: calls on_contact, then
 * adds the contact to its table. */
void kad_contact_answered(struct kad_node *node,
                          const struct kad_contact *contact, uint32_t rtt_ms);

#endif

/* Behaviours: makes a member hostile, and shows it the datagrams for its node.
 *
 *     arrival.c ──► behaviour.c ──► hostile_liar.c, hostile_sender.c
 *     timer ──────► behaviour.c ──► hostile_sender.c
 *
 * An honest engine runs in each hostile member and gets the other datagrams. */
#ifndef KAD_SIM_BEHAVIOUR_H
#define KAD_SIM_BEHAVIOUR_H

#include "sim/hostile.h"

/* Ends and frees `hostile`. Ignores NULL. */
void kad_behaviour_end(struct kad_hostile *hostile);

/* Shows a datagram to `hostile`. Returns true if its engine must not get it. */
bool kad_behaviour_takes(struct kad_hostile *hostile,
                         const struct kad_address *from,
                         struct kad_slice datagram);

#endif

/* Hostile members that send by themselves: flooders, replayers and senders of
 * garbage. */
#ifndef KAD_SIM_HOSTILE_SENDER_H
#define KAD_SIM_HOSTILE_SENDER_H

#include "sim/hostile.h"

/* Learns addresses and bytes from a datagram; `message` is NULL if it is
 * malformed. Returns true if it is a reply to a query of the hostile itself,
 * which its engine must not see. */
bool kad_hostile_sender_learn(struct kad_hostile *hostile,
                              const struct kad_address *from,
                              struct kad_slice datagram,
                              const struct kad_message *message);

/* Sends the next datagram. */
void kad_hostile_sender_send(struct kad_hostile *hostile);

#endif

/* Datagrams that could not be sent, counted by their error. */
#ifndef KAD_NET_UDP_UDP_FAILURE_H
#define KAD_NET_UDP_UDP_FAILURE_H

#include "net/udp/udp_member.h"

/* Returns true for an error (a value of errno) that says that there is no route
 * from the socket or the local address: from another there may be one. */
bool kad_udp_failure_is_of_route(int error);

/* Counts a datagram to `to` that was not sent because of `error`. */
void kad_udp_failure_count(struct kad_udp_member *member, int error,
                           const struct kad_address *to);

#endif

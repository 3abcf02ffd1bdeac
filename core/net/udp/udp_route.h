/* Chooses the socket, and on a wildcard socket the local address, from which a
 * datagram leaves.
 *
 * A datagram to an address with a `via` leaves from where that was heard, as
 * NATs and firewalls require. Any other leaves from the socket that the system
 * would choose for that receiver: a probe, a socket that is connected but sends
 * nothing, tells the local address. A probe takes a microsecond and sees every
 * change of interfaces and routes, so that its answer is not kept. A node with
 * one socket of a family needs none.
 *
 * Tested by tests/unit/net/udp/udp_hosts_test.c. */
#ifndef KAD_NET_UDP_UDP_ROUTE_H
#define KAD_NET_UDP_UDP_ROUTE_H

#include "net/udp/udp_member.h"

/* Where a datagram leaves. Borrows the member. */
struct kad_udp_route {
  struct kad_udp_socket *socket;
  const uint8_t *ip;  /* local address; NULL: that of the socket, or the
                         system's choice. Valid until the next datagram */
  uint32_t interface; /* index, for a link-local receiver; 0: any */
};

/* Sets `*route` to the route to `to`. Returns false if no socket can have one.
 */
bool kad_udp_route_find(struct kad_udp_member *member,
                        const struct kad_address *to,
                        struct kad_udp_route *route);

/* Returns false if `socket` cannot reach `to`: another family, or a socket that
 * reaches this machine only. */
bool kad_udp_route_is_possible(const struct kad_udp_socket *socket,
                               const struct kad_address *to);

/* Notes that the system refused the local address that `to->via` stands for:
 * for some seconds it is not used. */
void kad_udp_route_broke(struct kad_udp_member *member,
                         const struct kad_address *to);

/* `find_route` of struct kad_member_methods. Returns 0, KAD_EFAMILY or
 * KAD_ENOROUTE. */
int kad_udp_route_check(struct kad_member *base, const struct kad_address *to);

#endif

/* Opens the sockets of nodes, and receives and sends by them.
 *
 * libuv only says when a socket is readable (uv_poll): its own receiving has
 * no control messages, which carry the local address of a datagram.
 *
 * Tested by tests/unit/net/udp/udp_network_test.c,
 * tests/unit/net/udp/udp_hosts_test.c. */
#ifndef KAD_NET_UDP_UDP_SOCKET_H
#define KAD_NET_UDP_UDP_SOCKET_H

#include "net/udp/udp_member.h"

/* `open` of struct kad_network_methods. */
int kad_udp_socket_open(struct kad_network *network,
                        const struct kad_address *listen, size_t count,
                        struct kad_member **member);

/* `adopt` of struct kad_network_methods. */
int kad_udp_socket_adopt(struct kad_network *network, const int *sockets,
                         size_t count, struct kad_member **member);

#endif

/* Members of a UDP network: a node with its sockets.
 *
 * Tested by tests/unit/net/udp_network_test.c. */
#ifndef KAD_NET_UDP_SOCKET_H
#define KAD_NET_UDP_SOCKET_H

#include "net/udp.h"

/* `open` of struct kad_network_methods. */
int kad_udp_socket_open(struct kad_network *network,
                        const struct kad_address *listen, size_t count,
                        struct kad_member **member);

#endif

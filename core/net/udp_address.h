/* Addresses and errors of the system, as ours.
 *
 * Tested by tests/unit/net/udp_network_test.c. */
#ifndef KAD_NET_UDP_ADDRESS_H
#define KAD_NET_UDP_ADDRESS_H

#include "kadenza.h"

#include <uv.h>

/* Room for a system address of either family. */
union kad_socket_address {
  struct sockaddr any;
  struct sockaddr_in ip4;
  struct sockaddr_in6 ip6;
};

/* Converts an error of libuv to a KAD_E… code. */
int kad_udp_error(int error);

/* Converts `address` to the system's form. */
void kad_udp_address_to_system(const struct kad_address *address,
                               union kad_socket_address *out);

/* Converts a system address. One that is neither IPv4 nor IPv6 gives family 0.
 * `via` is 0. */
void kad_udp_address_from_system(const struct sockaddr *address,
                                 struct kad_address *out);

#endif

/* The interfaces of this machine: which addresses are its own, and on which of
 * them link-local addresses of IPv6 are. Those mean something only together
 * with an interface (RFC 4007), and struct kad_address has none.
 *
 * Tested by tests/unit/net/udp/udp_hosts_test.c,
 * tests/unit/net/network_names_test.c. */
#ifndef KAD_NET_UDP_UDP_INTERFACE_H
#define KAD_NET_UDP_UDP_INTERFACE_H

#include "kadenza.h"

enum {
  KAD_INTERFACES_MAX = 8 /* that are searched for a link-local receiver */
};

/* Returns true for a link-local address of IPv6. */
bool kad_udp_is_link_local(const struct kad_address *address);

/* Returns the index of the interface that has the link-local address `local`; 0
 * if none has, or for any other address. */
uint32_t kad_udp_interface_of(const struct kad_address *local);

/* `has_ip` of struct kad_network_methods: returns true if `ip` is an address of
 * an interface. */
bool kad_udp_has_ip(const struct kad_address *ip);

/* Copies the indices of the interfaces that have link-local addresses to
 * `interfaces`, and returns their number. */
size_t kad_udp_interfaces(uint32_t interfaces[KAD_INTERFACES_MAX]);

#endif

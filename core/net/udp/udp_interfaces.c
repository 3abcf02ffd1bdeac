/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "net/udp/udp.h"

#include <string.h>

enum {
  LOOPBACK = 127 /* the first byte of IPv4 loopback addresses */
};

static size_t ip_size(const struct kad_address *address) {
  return address->family == 4 ? 4 : 16;
}

bool kad_udp_has_ip(const struct kad_address *ip) {
  uv_interface_address_t *interfaces = NULL;
  int count = 0;
  if (ip->family == 4 && ip->ip[0] == LOOPBACK) {
    return true; /* all of 127.0.0.0/8, though an interface shows one */
  }
  if (uv_interface_addresses(&interfaces, &count) != 0) {
    return false;
  }
  bool has = false;
  for (int i = 0; i < count && !has; i++) {
    struct kad_address address;
    kad_udp_address_from_system((const struct sockaddr *)&interfaces[i].address,
                                &address);
    has = address.family == ip->family &&
          memcmp(address.ip, ip->ip, ip_size(ip)) == 0;
  }
  uv_free_interface_addresses(interfaces, count);
  return has;
}

/* getifaddrs needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "net/udp/udp_interface.h"

#include "base/address.h"
#include "net/udp/udp.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

bool kad_udp_has_ip(const struct kad_address *ip) {
  struct ifaddrs *all = NULL;
  if (ip->family == 4 && kad_udp_address_is_loopback(ip)) {
    return true; /* all of 127.0.0.0/8, though an interface shows one */
  }
  if (getifaddrs(&all) != 0) {
    return false;
  }
  bool has = false;
  for (const struct ifaddrs *i = all; i != NULL && !has; i = i->ifa_next) {
    struct kad_address address = {0};
    if (i->ifa_addr != NULL) {
      kad_udp_address_from_system(i->ifa_addr, &address);
    }
    has = kad_address_same_ip(&address, ip);
  }
  freeifaddrs(all);
  return has;
}

bool kad_udp_is_link_local(const struct kad_address *address) {
  return address->family == 6 && address->ip[0] == 0xfe &&
         (address->ip[1] & 0xc0) == 0x80;
}

/* Returns the link-local address of `interface`, or NULL. */
static const struct sockaddr_in6 *link_local_of(
    const struct ifaddrs *interface) {
  if (interface->ifa_addr == NULL ||
      interface->ifa_addr->sa_family != AF_INET6 ||
      (interface->ifa_flags & (IFF_UP | IFF_LOOPBACK)) != IFF_UP) {
    return NULL;
  }
  const struct sockaddr_in6 *address = (const void *)interface->ifa_addr;
  return IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr) ? address : NULL;
}

uint32_t kad_udp_interface_of(const struct kad_address *local) {
  struct ifaddrs *all = NULL;
  uint32_t found = 0;
  if (!kad_udp_is_link_local(local) || getifaddrs(&all) != 0) {
    return 0;
  }
  for (const struct ifaddrs *i = all; i != NULL && found == 0;
       i = i->ifa_next) {
    const struct sockaddr_in6 *address = link_local_of(i);
    if (address != NULL &&
        memcmp(&address->sin6_addr, local->ip, sizeof local->ip) == 0) {
      found = address->sin6_scope_id;
    }
  }
  freeifaddrs(all);
  return found;
}

static bool is_among(const uint32_t *interfaces, size_t count,
                     uint32_t wanted) {
  size_t i = 0;
  while (i < count && interfaces[i] != wanted) {
    i++;
  }
  return i < count;
}

size_t kad_udp_interfaces(uint32_t interfaces[KAD_INTERFACES_MAX]) {
  struct ifaddrs *all = NULL;
  size_t count = 0;
  if (getifaddrs(&all) != 0) {
    return 0;
  }
  for (const struct ifaddrs *i = all; i != NULL && count < KAD_INTERFACES_MAX;
       i = i->ifa_next) {
    const struct sockaddr_in6 *address = link_local_of(i);
    if (address != NULL &&
        !is_among(interfaces, count, address->sin6_scope_id)) {
      interfaces[count++] = address->sin6_scope_id;
    }
  }
  freeifaddrs(all);
  return count;
}

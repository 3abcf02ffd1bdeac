/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "net/udp/udp.h"

#include <string.h>

int kad_udp_error(int error) {
  switch (error) {
  case 0:
    return 0;
  case UV_ENOMEM:
    return KAD_ENOMEM;
  case UV_EADDRINUSE:
    return KAD_EADDRINUSE;
  case UV_EADDRNOTAVAIL:
  case UV_EAFNOSUPPORT:
    return KAD_EADDRNOTAVAIL;
  case UV_EACCES:
  case UV_EPERM:
    return KAD_EACCESS;
  default:
    return KAD_ESYSTEM;
  }
}

bool kad_udp_address_is_loopback(const struct kad_address *address) {
  static const uint8_t ip6[16] = {[15] = 1};
  return address->family == 4 ? address->ip[0] == 127
                              : memcmp(address->ip, ip6, sizeof ip6) == 0;
}

void kad_udp_address_to_system(const struct kad_address *address,
                               union kad_socket_address *out) {
  memset(out, 0, sizeof *out);
  if (address->family == 4) {
    out->ip4.sin_family = AF_INET;
    out->ip4.sin_port = htons(address->port);
    memcpy(&out->ip4.sin_addr, address->ip, 4);
  } else {
    out->ip6.sin6_family = AF_INET6;
    out->ip6.sin6_port = htons(address->port);
    memcpy(&out->ip6.sin6_addr, address->ip, 16);
  }
}

void kad_udp_address_from_system(const struct sockaddr *address,
                                 struct kad_address *out) {
  *out = (struct kad_address){0};
  union kad_socket_address system = {0};
  if (address->sa_family == AF_INET) {
    memcpy(&system.ip4, address, sizeof system.ip4);
    out->family = 4;
    out->port = ntohs(system.ip4.sin_port);
    memcpy(out->ip, &system.ip4.sin_addr, 4);
  } else if (address->sa_family == AF_INET6) {
    memcpy(&system.ip6, address, sizeof system.ip6);
    out->family = 6;
    out->port = ntohs(system.ip6.sin6_port);
    memcpy(out->ip, &system.ip6.sin6_addr, 16);
  }
}

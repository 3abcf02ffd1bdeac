/* uv.h needs more of the system than C11 shows. */
#define _GNU_SOURCE

#include "kadenza_inherited.h"
#include "net/udp/udp.h"

#include <errno.h>

/* Returns an option of a socket, or -1 with errno set. */
static int option_of(int fd, int level, int name) {
  int value = 0;
  socklen_t len = sizeof value;
  return getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

/* Returns false for the sockets of pings, which are of the same type. */
static bool is_udp(int fd) {
#ifdef SO_PROTOCOL
  return option_of(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP;
#else
  (void)fd;
  return true;
#endif
}

/* Returns why the socket has the wrong kind, or NULL. */
static const char *kind_problem(int fd) {
  const int type = option_of(fd, SOL_SOCKET, SO_TYPE);
  if (type < 0) {
    return errno == EBADF ? "is not open" : "is not a socket";
  }
  return type == SOCK_DGRAM && is_udp(fd) ? NULL : "is not a UDP socket";
}

static bool is_connected(int fd) {
  union kad_socket_address peer;
  socklen_t len = sizeof peer;
  return getpeername(fd, &peer.any, &len) == 0;
}

/* Returns why datagrams of the overlay would not come to the socket, which is
 * bound to `bound`, or NULL. */
static const char *binding_problem(int fd, const struct kad_address *bound) {
  if (bound->family == 0) {
    return "is not a UDP socket";
  }
  if (bound->port == 0) {
    return "is not bound to a port";
  }
  if (is_connected(fd)) {
    return "is connected to one address";
  }
  if (bound->family == 6 && option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 1) {
    return "takes IPv4 and IPv6; a socket for each is needed "
           "(BindIPv6Only=ipv6-only)";
  }
  return NULL;
}

const char *kad_inherited_socket_problem(int fd, struct kad_address *address) {
  union kad_socket_address bound;
  struct kad_address parsed;
  socklen_t len = sizeof bound;
  const char *problem = kind_problem(fd);
  if (problem != NULL) {
    return problem;
  }
  if (getsockname(fd, &bound.any, &len) != 0) {
    return "has no address";
  }
  kad_udp_address_from_system(&bound.any, &parsed);
  problem = binding_problem(fd, &parsed);
  if (problem == NULL && address != NULL) {
    *address = parsed;
  }
  return problem;
}

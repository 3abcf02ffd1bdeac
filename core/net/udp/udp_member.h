/* A node with its UDP sockets, and what is counted of them.
 *
 * Tested by tests/unit/net/udp/udp_network_test.c. */
#ifndef KAD_NET_UDP_UDP_MEMBER_H
#define KAD_NET_UDP_UDP_MEMBER_H

#include "kadenza_socket.h"
#include "net/network.h"
#include "net/udp/udp_source.h"

#include <uv.h>

#include <netinet/in.h>

/* Room for a system address of either family. */
union kad_socket_address {
  struct sockaddr any;
  struct sockaddr_in ip4;
  struct sockaddr_in6 ip6;
};

struct kad_udp_member;

/* A socket of a member. */
struct kad_udp_socket {
  uv_poll_t poll;
  struct kad_udp_member *member;
  int fd;           /* -1 when it is closed */
  uint8_t index;    /* in `sockets` */
  bool is_wildcard; /* bound to no address: it takes those of the machine */
  bool is_loopback; /* bound to one that reaches this machine only */
};

/* A node with its sockets. */
struct kad_udp_member {
  struct kad_member base;
  size_t size;         /* bytes of this block */
  size_t open_sockets; /* that the loop has not closed yet */
  bool released;       /* free it with its last socket */
  bool is_inherited;   /* another program has bound its sockets */
  struct kad_udp_sources sources;
  struct kad_socket_stats stats;
  struct kad_send_failure failure; /* the latest */
  struct kad_udp_socket sockets[];
};

/* Returns the member that `base` is part of. */
static inline struct kad_udp_member *kad_udp_member_of(
    const struct kad_member *base) {
  return kad_container_of(base, struct kad_udp_member, base);
}

#endif

/* Datagrams that are collected during a turn and sent together. What the system
 * does not take at once is dropped, as any network may drop it: a late datagram
 * is of no use.
 *
 * Tested by tests/unit/net/udp_network_test.c. */
#ifndef KAD_NET_UDP_OUTGOING_H
#define KAD_NET_UDP_OUTGOING_H

#include "net/udp_address.h"

enum {
  KAD_OUTGOING_MAX = 64,         /* datagrams */
  KAD_OUTGOING_BYTES = 64 * 1024 /* bytes of all */
};

/* A datagram that waits to be sent. */
struct kad_outgoing_datagram {
  uv_udp_t *socket;
  union kad_socket_address to;
  size_t offset; /* in `bytes` of struct kad_outgoing */
  size_t len;
};

struct kad_outgoing {
  struct kad_outgoing_datagram datagrams[KAD_OUTGOING_MAX];
  uint8_t bytes[KAD_OUTGOING_BYTES];
  size_t count;
  size_t used; /* of `bytes` */
};

/* Adds a datagram of at most KAD_NETWORK_DATAGRAM_MAX bytes; if there is no
 * room, sends the others first. Copies: `datagram`. */
void kad_udp_outgoing_add(struct kad_outgoing *outgoing, uv_udp_t *socket,
                          const struct kad_address *to,
                          struct kad_slice datagram);

/* Sends all datagrams. */
void kad_udp_outgoing_flush(struct kad_outgoing *outgoing);

#endif

/* Nodes without sockets: the user carries their datagrams. */
#ifndef KAD_NET_TRANSPORT_H
#define KAD_NET_TRANSPORT_H

#include "net/network.h"

enum {
  KAD_TRANSPORT_WAITING = 256 /* datagrams that wait to be received, a node */
};

/* Makes a member whose datagrams leave by `transport`. Copies: `transport`,
 * `addresses`. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_transport_open(struct kad_network *network,
                                      const struct kad_transport *transport,
                                      const struct kad_address *addresses,
                                      size_t count, struct kad_member **member);

/* Drops what waits to be received: the member is closed. */
void kad_transport_unbind(struct kad_member *member);

/* Frees an unbound member, and tells its transport, if there was a node. */
void kad_transport_release(struct kad_member *member);

/* The environment of its node; `state` is the member. */
void kad_transport_random(void *state, uint8_t *out, size_t len);
void kad_transport_send(void *state, const struct kad_address *to,
                        struct kad_slice datagram);

#endif

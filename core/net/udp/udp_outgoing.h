/* Datagrams that are collected during a turn and sent together.
 *
 * What the system does not take at once is dropped, as any network may drop it:
 * a late datagram is of no use. A datagram that has no route from its socket or
 * local address leaves from another one, if that has. No error keeps the others
 * from being sent.
 *
 * Tested by tests/unit/net/udp/udp_outgoing_test.c. */
#ifndef KAD_NET_UDP_UDP_OUTGOING_H
#define KAD_NET_UDP_UDP_OUTGOING_H

#include "net/udp/udp_route.h"

enum {
  KAD_OUTGOING_MAX = 64,         /* datagrams */
  KAD_OUTGOING_BYTES = 64 * 1024 /* bytes of all */
};

struct kad_outgoing;
struct mmsghdr;

/* Sends the first of `count` messages, and more if it can. Returns how many, or
 * -1 with errno set if it is not even the first. */
typedef int (*kad_outgoing_send_fn)(int fd, struct mmsghdr *messages,
                                    unsigned count);

/* Makes an empty collection. Returns NULL if there is no memory. */
struct kad_outgoing *kad_outgoing_new(const struct kad_allocator *allocator);

/* Frees it. Ignores NULL. */
void kad_outgoing_free(struct kad_outgoing *outgoing,
                       const struct kad_allocator *allocator);

/* Replaces the system's call, for tests of its errors. */
void kad_outgoing_set_send(struct kad_outgoing *outgoing,
                           kad_outgoing_send_fn send);

/* Returns true if nothing waits to be sent. */
bool kad_outgoing_is_empty(const struct kad_outgoing *outgoing);

/* Adds a datagram of at most KAD_DATAGRAM_MAX bytes; if there is no
 * room, sends the others first. Copies: `datagram`. */
void kad_outgoing_add(struct kad_outgoing *outgoing,
                      const struct kad_udp_route *route,
                      const struct kad_address *to, struct kad_slice datagram);

/* Sends all datagrams. */
void kad_outgoing_flush(struct kad_outgoing *outgoing);

#endif

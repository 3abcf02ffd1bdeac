/* A batch of datagrams that one system call receives, with the local addresses
 * that they were sent to. */
#ifndef KAD_NET_UDP_UDP_INCOMING_H
#define KAD_NET_UDP_UDP_INCOMING_H

#include "net/udp/udp_member.h"

enum {
  KAD_INCOMING_MAX = 64 /* datagrams of a batch */
};

struct kad_incoming;

/* Makes an empty batch of datagrams of at most `room` bytes. Returns NULL if
 * there is no memory. */
struct kad_incoming *kad_incoming_new(const struct kad_allocator *allocator,
                                      size_t room);

/* Replaces the batch, which is no longer used, unless it has room for datagrams
 * of `room` bytes. If there is no memory it stays, and the next call tries
 * again. */
void kad_incoming_grow(struct kad_incoming **incoming,
                       const struct kad_allocator *allocator, size_t room);

/* Frees it. Ignores NULL. */
void kad_incoming_free(struct kad_incoming *incoming,
                       const struct kad_allocator *allocator);

/* Has the socket `fd` of `family` report the local address of datagrams.
 * Returns false if the system cannot. */
bool kad_incoming_want_local(int fd, unsigned family);

/* Receives up to KAD_INCOMING_MAX datagrams without waiting. Returns their
 * number, or -1 with errno set. */
int kad_incoming_receive(struct kad_incoming *incoming, int fd);

/* A datagram of the batch. */
struct kad_incoming_datagram {
  struct kad_address from;     /* `via` is 0; family 0: no IP address */
  struct kad_udp_source local; /* without `socket` */
  struct kad_slice bytes;      /* empty: it is longer than there is room for */
};

/* Sets `*datagram` to the i-th datagram, which is valid until the next batch is
 * received. */
void kad_incoming_at(const struct kad_incoming *incoming, size_t i,
                     struct kad_incoming_datagram *datagram);

#endif

/* The local addresses from which a node's datagrams leave, and what `via` of a
 * struct kad_address stands for:
 *
 *     0            no matter which: udp_route.c chooses a socket
 *     1 … n        the socket `via` - 1; the system chooses the local address
 *                  of a wildcard socket
 *     n + 1 … 255  an entry of this table: a socket and a local address at
 *                  which datagrams arrived
 *
 * A full table reuses its entries, the least recently used first. So a `via`
 * that was kept may mean another local address later, but it is right for a
 * reply at once. */
#ifndef KAD_NET_UDP_UDP_SOURCE_H
#define KAD_NET_UDP_UDP_SOURCE_H

#include "kadenza.h"

enum {
  KAD_UDP_SOURCES_MAX = 240 /* with 8 sockets, they fit `via` */
};

/* A local address. Unused bytes are 0. */
struct kad_udp_source {
  uint8_t ip[16];     /* if has_ip */
  uint32_t interface; /* its index, for a link-local remote address; 0: any */
  uint8_t socket;     /* index */
  bool has_ip;        /* false: that of the socket */
};

struct kad_udp_source_entry {
  struct kad_udp_source source;
  uint64_t used;         /* the larger, the later */
  kad_time_ms broken_to; /* until then, the local address is not used: the
                            system refused it, because it is gone */
};

/* Zero-initialised it is empty. */
struct kad_udp_sources {
  struct kad_udp_source_entry *entries;
  size_t count;
  size_t cap;
  size_t latest; /* index of the entry found last */
  uint64_t uses;
};

/* Returns the index of the entry of `wanted`, at which a datagram has arrived:
 * it is not broken. The entry is added if there is none; returns -1 if there is
 * no memory for it. */
int kad_udp_sources_find(struct kad_udp_sources *sources,
                         const struct kad_allocator *allocator,
                         const struct kad_udp_source *wanted);

/* Returns the entry at `index`, which counts as used; NULL if there is none.
 * Valid until the next kad_udp_sources_find. */
struct kad_udp_source_entry *kad_udp_sources_at(struct kad_udp_sources *sources,
                                                size_t index);

/* Frees the entries. */
void kad_udp_sources_deinit(struct kad_udp_sources *sources,
                            const struct kad_allocator *allocator);

#endif

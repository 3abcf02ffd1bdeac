/* A network of UDP sockets over libuv, which only this folder knows.
 *
 * A turn of the loop: the timer fires timers and ticks nodes that are due;
 * `prepare` sends what they have written and sets the timer to the earliest
 * deadline; the poll receives datagrams in batches and sends the replies to
 * each batch together; `check` does what `prepare` does.
 *
 * Tested by tests/unit/net/udp/udp_network_test.c,
 * tests/unit/net/network_test.c. */
#ifndef KAD_NET_UDP_UDP_H
#define KAD_NET_UDP_UDP_H

#include "net/network.h"
#include "net/random.h"

#include <uv.h>

/* Room for a system address of either family. */
union kad_socket_address {
  struct sockaddr any;
  struct sockaddr_in ip4;
  struct sockaddr_in6 ip6;
};

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

/* Datagrams that are collected during a turn and sent together. What the system
 * does not take at once is dropped, as any network may drop it: a late datagram
 * is of no use. */
struct kad_outgoing {
  struct kad_outgoing_datagram datagrams[KAD_OUTGOING_MAX];
  uint8_t bytes[KAD_OUTGOING_BYTES];
  size_t count;
  size_t used; /* of `bytes` */
};

struct kad_name_lookups;
struct kad_udp_name;
struct kad_udp_signal;

struct kad_udp {
  struct kad_network base;
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_timer_t wake; /* for timers and nodes */
  uv_timer_t end;  /* of kad_network_run */
  kad_time_ms wake_at;
  struct kad_udp_name *names;            /* that the resolver looks up */
  struct kad_name_lookups *name_lookups; /* NULL before the first name */
  uv_async_t lookups_ended;
  struct kad_udp_signal *signals; /* that callbacks wait for */
  uint8_t *incoming; /* buffer of all sockets; NULL before the first */
  size_t incoming_size;
  struct kad_outgoing outgoing;
  struct kad_random random; /* of the user and of every node */
};

/* Returns the UDP network that `base` is part of. */
static inline struct kad_udp *kad_udp_of(const struct kad_network *base) {
  return kad_container_of(base, struct kad_udp, base);
}

/* Converts an error of libuv to a KAD_E… code. */
int kad_udp_error(int error);

/* Converts `address` to the system's form. */
void kad_udp_address_to_system(const struct kad_address *address,
                               union kad_socket_address *out);

/* Converts a system address; family 0 for other families. `via` is 0. */
void kad_udp_address_from_system(const struct sockaddr *address,
                                 struct kad_address *out);

/* Adds a datagram of at most KAD_NETWORK_DATAGRAM_MAX bytes; if there is no
 * room, sends the others first. Copies: `datagram`. */
void kad_udp_outgoing_add(struct kad_outgoing *outgoing, uv_udp_t *socket,
                          const struct kad_address *to,
                          struct kad_slice datagram);

/* Sends all datagrams. */
void kad_udp_outgoing_flush(struct kad_outgoing *outgoing);

/* `has_ip` of struct kad_network_methods. Tested by
 * tests/unit/net/network_names_test.c. */
bool kad_udp_has_ip(const struct kad_address *ip);

/* `open` of struct kad_network_methods. */
int kad_udp_socket_open(struct kad_network *network,
                        const struct kad_address *listen, size_t count,
                        struct kad_member **member);

/* `resolve` of struct kad_network_methods. */
int kad_udp_resolve(struct kad_network *network, const char *host,
                    uint16_t port, kad_resolved_fn resolved, void *data);

/* Frees all names, without `resolved`. Does not wait for the resolver. */
void kad_udp_resolve_close(struct kad_udp *udp);

/* `on_signal` of struct kad_network_methods. */
int kad_udp_signal_start(struct kad_network *network, int number,
                         void (*fire)(void *data), void *data);

/* Closes every signal handle. */
void kad_udp_signal_close(struct kad_udp *udp);

#endif

/* Networks of UDP sockets over libuv: what the parts share.
 *
 * A turn of the loop: timers and due nodes; `prepare` sends what they have left
 * and arms the one timer for the earliest deadline; the poll receives batches
 * and sends the replies to each together; `check` does as `prepare`. */
#ifndef KAD_NET_UDP_H
#define KAD_NET_UDP_H

#include "net/network.h"
#include "net/random.h"

#include <uv.h>

enum {
  KAD_OUTGOING_MAX = 64,          /* datagrams sent together */
  KAD_OUTGOING_BYTES = 64 * 1024, /* bytes of them */
  KAD_INCOMING_CHUNK = 64 * 1024, /* libuv's, for one datagram */
  KAD_INCOMING_MAX = 20,          /* libuv's, received together */
  KAD_SEND_BUFFER = 1024 * 1024,  /* bytes that we ask the system to queue */
  KAD_RECEIVE_BUFFER =
      4096 * 1024 /* the same: what comes while a script runs */
};

/* Room for an address of either family. */
union kad_socket_address {
  struct sockaddr any;
  struct sockaddr_in ip4;
  struct sockaddr_in6 ip6;
};

/* A datagram that waits to be sent with others. */
struct kad_outgoing_datagram {
  uv_udp_t *socket;
  union kad_socket_address to;
  size_t offset; /* of its bytes */
  size_t len;
};

/* Datagrams collected over a turn. What the system does not take at once is
 * dropped, as any network may: late datagrams are of no use to anyone. */
struct kad_outgoing {
  struct kad_outgoing_datagram datagrams[KAD_OUTGOING_MAX];
  uint8_t bytes[KAD_OUTGOING_BYTES];
  size_t count;
  size_t used; /* of `bytes` */
};

/* One socket of a member. */
struct kad_udp_socket {
  uv_udp_t handle;
  struct kad_udp_member *member;
  uint8_t via; /* its index + 1 */
};

/* A node with its sockets. */
struct kad_udp_member {
  struct kad_member base;
  size_t size;         /* bytes of the whole */
  size_t open_sockets; /* not closed by the loop yet */
  bool released;       /* to be freed with its last socket */
  struct kad_udp_socket sockets[];
};

/* A name that the system's resolver looks up. */
struct kad_udp_name;

/* A signal that somebody waits for. */
struct kad_udp_signal;

struct kad_udp {
  struct kad_network base;
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_timer_t wake; /* for timers and nodes */
  uv_timer_t end;  /* of kad_network_run */
  kad_time_ms wake_at;
  struct kad_udp_name *names;
  struct kad_udp_signal *signals;
  uint8_t *incoming; /* NULL until the first socket; shared by all */
  size_t incoming_size;
  struct kad_outgoing outgoing;
  struct kad_random random; /* of the user and of every node */
};

/* Returns the network that `base` is part of. */
static inline struct kad_udp *kad_udp_of(const struct kad_network *base) {
  return kad_container_of(base, struct kad_udp, base);
}

/* Turns an error of libuv into one of ours. */
int kad_udp_error(int error);

/* Writes `address` in the system's form. */
void kad_udp_address_to_system(const struct kad_address *address,
                               union kad_socket_address *out);

/* Reads an address of the system; one that is neither IPv4 nor IPv6 gives
 * family 0. `via` is 0. */
void kad_udp_address_from_system(const struct sockaddr *address,
                                 struct kad_address *out);

/* Collects a datagram; sends what there is first if it does not fit in.
 * Copies: `datagram`, at most KAD_NETWORK_DATAGRAM_MAX bytes. */
void kad_outgoing_add(struct kad_outgoing *outgoing, uv_udp_t *socket,
                      const struct kad_address *to, struct kad_slice datagram);

/* Sends everything collected. */
void kad_outgoing_flush(struct kad_outgoing *outgoing);

/* Methods of the network, see network.h: sockets, */
int kad_udp_open(struct kad_network *network, const struct kad_address *listen,
                 size_t count, struct kad_member **member);
void kad_udp_unbind(struct kad_member *member);
void kad_udp_release(struct kad_member *member);
void kad_udp_send(void *state, const struct kad_address *to,
                  struct kad_slice datagram);

/* names, */
int kad_udp_resolve(struct kad_network *network, const char *host,
                    uint16_t port, kad_resolved_fn found, void *data);

/* Cancels the look-ups that have not begun; the others end unheard. */
void kad_udp_cancel_names(struct kad_udp *udp);

/* and signals. */
int kad_udp_on_signal(struct kad_network *network, int number,
                      void (*fire)(void *data), void *data);

/* Closes every signal handle. */
void kad_udp_close_signals(struct kad_udp *udp);

#endif

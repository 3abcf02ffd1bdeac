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

#include "net/random.h"
#include "net/udp/late_lookups.h"
#include "net/udp/udp_incoming.h"
#include "net/udp/udp_outgoing.h"

struct kad_name_lookups;
struct kad_udp_name;
struct kad_udp_signal;
struct kad_watch;

struct kad_udp {
  struct kad_network base;
  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_timer_t wake; /* for timers and nodes */
  uv_timer_t end;  /* of kad_network_run */
  kad_time_ms wake_at;
  uint64_t turn_began_ns;     /* 0: nothing has run since the last poll began or
                                 ended */
  struct kad_udp_name *names; /* that the resolver looks up */
  struct kad_name_lookups *name_lookups; /* NULL before the first name */
  uv_async_t lookups_ended;
  struct kad_late_lookups late_lookups;
  struct kad_udp_signal *signals; /* that callbacks wait for */
  struct kad_watch *watches;      /* descriptors of the user */
  struct kad_incoming *incoming;  /* of all sockets; NULL before the first */
  struct kad_outgoing *outgoing;  /* of all sockets */
  struct kad_random random;       /* of the user and of every node */
};

/* Returns the UDP network that `base` is part of. */
static inline struct kad_udp *kad_udp_of(const struct kad_network *base) {
  return kad_container_of(base, struct kad_udp, base);
}

/* Notes that the turn has begun, unless it has begun before. */
static inline void kad_udp_begin_turn(struct kad_udp *udp) {
  if (udp->turn_began_ns == 0) {
    udp->turn_began_ns = uv_hrtime();
  }
}

/* Converts an error of libuv to a KAD_E… code. */
int kad_udp_error(int error);

/* Returns true for 127.0.0.0/8 and ::1. */
bool kad_udp_address_is_loopback(const struct kad_address *address);

/* Converts `address` to the system's form. */
void kad_udp_address_to_system(const struct kad_address *address,
                               union kad_socket_address *out);

/* Converts a system address; family 0 for other families. `via` is 0. */
void kad_udp_address_from_system(const struct sockaddr *address,
                                 struct kad_address *out);

/* `resolve` of struct kad_network_methods. */
int kad_udp_resolve(struct kad_network *network, const char *host,
                    uint16_t port, kad_resolved_fn resolved, void *data);

/* Frees all names, without `resolved`. Does not wait for the resolver. */
void kad_udp_resolve_close(struct kad_udp *udp);

/* `work` of struct kad_network_methods. */
int kad_udp_work(struct kad_network *network, void (*run)(void *data),
                 void (*done)(void *data), void *data);

/* `on_signal` of struct kad_network_methods. */
int kad_udp_signal_start(struct kad_network *network, int number,
                         void (*fire)(void *data), void *data);

/* Closes every signal handle. */
void kad_udp_signal_close(struct kad_udp *udp);

/* `watch` of struct kad_network_methods. */
int kad_udp_watch(struct kad_network *network, int fd, unsigned events,
                  void (*ready)(void *data, unsigned events), void *data,
                  struct kad_watch **watch);

/* Ends every watch. */
void kad_udp_watch_close(struct kad_udp *udp);

#endif

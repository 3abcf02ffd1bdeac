/* A network of UDP sockets over libuv, which only this folder knows.
 *
 * A turn of the loop: the timer fires timers and ticks nodes that are due;
 * `prepare` sends what they have written and sets the timer to the earliest
 * deadline; the poll receives datagrams in batches and sends the replies to
 * each batch together; `check` does what `prepare` does. */
#ifndef KAD_NET_UDP_H
#define KAD_NET_UDP_H

#include "net/network.h"
#include "net/random.h"
#include "net/udp_outgoing.h"

#include <uv.h>

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
  struct kad_udp_name *names;     /* that the resolver looks up */
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

#endif

#ifndef BENCH_SWARM_H
#define BENCH_SWARM_H

#include "source.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SWARM_MAX = 2000,
  /* Nodes for each bucket: a full one of k = 8 and two that wait. */
  SWARM_NODES_A_BUCKET = 10,
};

struct swarm_node {
  struct source source;
  uint32_t answered; /* queries of the server that it has answered */
};

/* Nodes on addresses of their own, from 127.1.0.1 up, that fill the buckets of
 * a server's routing table: ten ids that share no prefix with the server's,
 * ten that share one bit, and so on. They answer the server's queries, so that
 * it may take them for good. */
struct swarm {
  struct sockaddr_in server;
  uint8_t server_id[KRPC_ID_BYTES];
  struct swarm_node *nodes;
  size_t count;
};

/* Opens `count` nodes. Range: `count` 1 to SWARM_MAX.
 *
 * Copies: `server`, `server_id`.
 * Returns 0, or -1 after a message to standard error. */
int swarm_init(struct swarm *swarm, const struct sockaddr_in *server,
               const uint8_t *server_id, size_t count);

/* Closes and frees everything. */
void swarm_deinit(struct swarm *swarm);

/* Makes each node ping the server each second until the server has queried it.
 * Ends after `limit_ms`, or when for three seconds nobody new was queried: a
 * server may leave those alone who find their bucket full.
 *
 * Returns how many nodes the server has queried. */
size_t swarm_fill(struct swarm *swarm, uint64_t limit_ms);

/* Answers the server's queries until `*stopping` or for `limit_ms`. */
void swarm_hold(struct swarm *swarm, uint64_t limit_ms,
                const volatile sig_atomic_t *stopping);

/* Asks the server at `server` for its id with a ping, a few times.
 *
 * Returns 0, or -1 when it does not answer. */
int swarm_learn_id(const struct sockaddr_in *server, uint8_t *server_id);

#endif

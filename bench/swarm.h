#ifndef BENCH_SWARM_H
#define BENCH_SWARM_H

#include "source.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SWARM_MAX = 2000,
  /* Nodes for each bucket: k = 8 contacts and two in the replacement cache. */
  SWARM_NODES_A_BUCKET = 10,
};

struct swarm_node {
  struct source source;
  uint32_t answered; /* queries of the server */
};

/* Nodes that fill the routing table of a server, each with an address of its
 * own from 127.1.0.1 up: ten ids that share no prefix with the server's id, ten
 * that share one bit, and so on. They answer the server's queries, so that they
 * become its contacts. */
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

/* Closes the nodes and frees the memory. */
void swarm_deinit(struct swarm *swarm);

/* Pings the server from each node every second until the server has queried
 * that node. Ends after `limit_ms`, or when the server has queried no new node
 * for three seconds: it need not query nodes whose bucket is full.
 *
 * Returns how many nodes the server has queried. */
size_t swarm_fill(struct swarm *swarm, uint64_t limit_ms);

/* Answers the server's queries until `*stopping` is set or `limit_ms` ends. */
void swarm_hold(struct swarm *swarm, uint64_t limit_ms,
                const volatile sig_atomic_t *stopping);

/* Reads the id of the server from its reply to a ping. Tries a few times.
 *
 * Returns 0, or -1 when the server does not reply. */
int swarm_learn_id(const struct sockaddr_in *server, uint8_t *server_id);

#endif

/* NATs of simulated nodes. A *mapping* is an outer address of a socket. A
 * *flow* is created when the node sends to a peer through it, and lets that
 * peer in. A symmetric NAT has a mapping for each flow, the other kinds one for
 * each socket. Both expire when the node has not sent for a while; they are
 * removed when it sends next.
 *
 * Tested by tests/unit/sim/nat_test.c. */
#ifndef KAD_SIM_NAT_H
#define KAD_SIM_NAT_H

#include "sim/sim.h"

/* A mapping. */
struct kad_nat_mapping {
  struct kad_sim_socket outer; /* in the table of addresses while it is bound */
  struct kad_nat *nat;
  kad_time_ms used;
  bool bound;
};

/* A flow. */
struct kad_nat_flow {
  struct kad_map_entry entry;
  struct kad_address peer; /* via is the socket's index + 1; port 0: the NAT
                              compares hosts only */
  kad_time_ms used;
  struct kad_nat_flow *next; /* used later */
  struct kad_nat_flow *previous;
  struct kad_nat_mapping mapping; /* of a symmetric NAT */
};

struct kad_nat {
  struct kad_sim_member *member;
  struct kad_sim_nat config;
  kad_time_ms idle_ms;
  struct kad_map flows;
  struct kad_nat_flow *oldest;
  struct kad_nat_flow *newest;
  struct kad_nat_mapping cones[]; /* of each socket, unless symmetric */
};

/* Returns the outer address of socket `i` for a datagram to `to`, or NULL if
 * the NAT drops it. Borrowed until the next call. */
const struct kad_address *kad_nat_out(struct kad_nat *nat, int i,
                                      const struct kad_address *to);

/* Returns true if the NAT lets in a datagram from `from` to `socket`. */
bool kad_nat_admits(const struct kad_sim_socket *socket,
                    const struct kad_address *from);

/* Unbinds `member`: removes its sockets, or its NAT's mappings and flows. */
void kad_nat_unbind(struct kad_sim_member *member);

/* Frees a NAT. Ignores NULL. */
void kad_nat_free(struct kad_nat *nat);

#endif

/* NATs of simulated nodes. A *mapping* is an outer address that stands for a
 * socket; a *flow* is what was sent to somebody through it, and lets him in. A
 * symmetric NAT has a mapping for each flow, the others one for each socket.
 * Both end when nothing was sent for a while; they are removed when the node
 * sends next. */
#ifndef KAD_SIM_NAT_H
#define KAD_SIM_NAT_H

#include "sim/sim.h"

/* An outer address. */
struct kad_nat_mapping {
  struct kad_sim_socket outer; /* in the table of addresses while it is bound */
  struct kad_nat *nat;
  kad_time_ms used;
  bool bound;
};

/* Who was sent to. */
struct kad_nat_flow {
  struct kad_map_entry entry;
  struct kad_address peer; /* via is the socket's index + 1; the port is 0 if
                              only the host counts */
  kad_time_ms used;
  struct kad_nat_flow *next; /* was used later */
  struct kad_nat_flow *back;
  struct kad_nat_mapping mapping; /* of a symmetric NAT */
};

struct kad_nat {
  struct kad_sim_member *member;
  struct kad_sim_nat how;
  kad_time_ms idle_ms;
  struct kad_map flows;
  struct kad_nat_flow *oldest;
  struct kad_nat_flow *newest;
  struct kad_nat_mapping cones[]; /* of each socket */
};

/* Returns the address that others see of socket `i` when it sends to `to`, or
 * NULL when that does not go through. Borrowed until the next call. */
const struct kad_address *kad_nat_out(struct kad_nat *nat, int i,
                                      const struct kad_address *to);

/* Tells whether what `from` sends to the outer address `socket` gets in. */
bool kad_nat_admits(const struct kad_sim_socket *socket,
                    const struct kad_address *from);

/* Forgets all mappings and flows, as a router does that starts anew. */
void kad_nat_forget(struct kad_nat *nat);

/* Frees it. NULL is ignored. */
void kad_nat_free(struct kad_nat *nat);

#endif

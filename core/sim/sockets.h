/* The table of addresses of a simulated network. */
#ifndef KAD_SIM_SOCKETS_H
#define KAD_SIM_SOCKETS_H

#include "sim/sim.h"

enum {
  KAD_SIM_SOCKETS_FIRST_PORT = 49152 /* of the dynamic ports; RFC 6335 §6 */
};

/* Hashes an address without its `via`. */
uint64_t kad_sim_sockets_hash(const struct kad_address *address);

/* Returns the socket at `address`, whose hash is `hash`, or NULL. */
struct kad_sim_socket *kad_sim_sockets_find(const struct kad_sim *sim,
                                            const struct kad_address *address,
                                            uint64_t hash);

/* Sets `address->port` to a port that is free for its ip. Returns false if
 * there is none. */
bool kad_sim_sockets_choose_port(struct kad_sim *sim,
                                 struct kad_address *address);

/* Binds `member`, which has no address, to `count` addresses. Returns 0, or,
 * with no address bound, KAD_EADDRINUSE or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_sim_sockets_bind(struct kad_sim_member *member,
                                        const struct kad_address *listen,
                                        size_t count);

/* Removes the sockets of `member` from the table: it gets a NAT. */
void kad_sim_sockets_hide(struct kad_sim_member *member);

/* Removes `socket` from the table. */
void kad_sim_sockets_remove(struct kad_sim *sim, struct kad_sim_socket *socket);

#endif

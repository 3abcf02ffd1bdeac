/* Sending: the outcome and the latency of a datagram, drawn from the seed. */
#ifndef KAD_SIM_LINK_H
#define KAD_SIM_LINK_H

#include "sim/sim.h"

/* Initialises the draws from the seed, and the curve of round-trip times.
 * Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_sim_link_init(struct kad_sim *sim,
                                     const struct kad_sim_config *config);

/* Frees the curve. */
void kad_sim_link_deinit(struct kad_sim *sim);

/* Sends a datagram from the address `i` of `from`, or loses it. */
void kad_sim_link_send(struct kad_sim_member *from, int i,
                       const struct kad_address *to, struct kad_slice datagram);

/* Sends a datagram with the false sender `as`. `from` is hostile. */
void kad_sim_link_forge(struct kad_sim_member *from,
                        const struct kad_address *as,
                        const struct kad_address *to,
                        struct kad_slice datagram);

#endif

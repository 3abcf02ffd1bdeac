/* Clocks of simulated nodes that are wrong, and machines that are suspended. */
#ifndef KAD_SIM_CLOCK_H
#define KAD_SIM_CLOCK_H

#include "sim/sim.h"

/* Returns the seconds since 1970 at the network's time. */
int64_t kad_sim_clock_wall(const struct kad_sim *sim);

/* `member_now`, `member_wall` and `member_due` of struct kad_network_methods.
 */
kad_time_ms kad_sim_clock_member_now(struct kad_member *base);
int64_t kad_sim_clock_member_wall(const struct kad_member *base);
kad_time_ms kad_sim_clock_member_due(const struct kad_member *base,
                                     kad_time_ms at);

#endif

/* Members of a simulated network, by node, and what few of them have. */
#ifndef KAD_SIM_MEMBER_H
#define KAD_SIM_MEMBER_H

#include "sim/sim.h"

/* Returns the member of `node` if it has sockets in a simulated network, else
 * NULL. */
struct kad_sim_member *kad_sim_member_find(const struct kad_network *network,
                                           const struct kad_node *node);

/* Returns the extra of `member`; allocates it if there is none. Returns NULL if
 * out of memory. */
struct kad_sim_extra *kad_sim_member_extra(struct kad_sim_member *member);

#endif

/* Arrival: the last decision about a datagram, its trace and its delivery. */
#ifndef KAD_SIM_ARRIVAL_H
#define KAD_SIM_ARRIVAL_H

#include "sim/flight.h"

/* Ends a flight: counts and traces it, and delivers it if it arrives. It may
 * wait for its receiver's bandwidth first. */
void kad_sim_arrival_end(struct kad_sim *sim, struct kad_sim_flight *flight);

#endif

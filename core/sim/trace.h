/* A running hash of what was delivered, by which runs are compared. */
#ifndef KAD_SIM_TRACE_H
#define KAD_SIM_TRACE_H

#include "kadenza_sim.h"

/* Zero-initialised it has seen nothing. */
struct kad_trace {
  uint64_t hash;
};

/* Adds a datagram: when, from, to (without `via`) and its bytes. */
void kad_trace_add(struct kad_trace *trace, kad_time_ms now,
                   const struct kad_address *from, const struct kad_address *to,
                   struct kad_slice datagram);

#endif

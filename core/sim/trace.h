/* A running hash of the datagrams delivered, to compare runs. */
#ifndef KAD_SIM_TRACE_H
#define KAD_SIM_TRACE_H

#include "kadenza_sim.h"

/* Zero-initialised, it has no datagram. */
struct kad_trace {
  uint64_t hash;
};

/* Adds a datagram: its time, sender, receiver (without `via`) and bytes. */
void kad_trace_add(struct kad_trace *trace, kad_time_ms now,
                   const struct kad_address *from, const struct kad_address *to,
                   struct kad_slice datagram);

#endif

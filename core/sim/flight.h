/* Datagrams in flight, the counters of their outcomes, and the queue in front
 * of a link with little bandwidth. */
#ifndef KAD_SIM_FLIGHT_H
#define KAD_SIM_FLIGHT_H

#include "sim/sim.h"

/* A datagram on its way. */
struct kad_sim_flight {
  struct kad_deadline arrival;
  struct kad_sim_flight *next_free;
  struct kad_address from;
  struct kad_address to;
  uint64_t to_hash;
  struct kad_sim_socket
      *socket;      /* at `to`, unless a socket was unbound since */
  uint64_t unbound; /* `unbound` of the network, when it was sent */
  uint32_t group;   /* the sender's, when it was sent */
  uint16_t cap;     /* bytes of room */
  uint16_t len;
  uint8_t outcome; /* an enum kad_sim_outcome: KAD_SIM_OUTCOME_DELIVERED if it
                      will arrive */
  bool queued;     /* it has waited for the receiver's bandwidth */
  uint8_t bytes[];
};

/* Returns a flight with room for `len` bytes, or NULL if out of memory. */
struct kad_sim_flight *kad_sim_flight_new(struct kad_sim *sim, size_t len);

/* Keeps a flight that has ended for the next datagram. */
void kad_sim_flight_end(struct kad_sim *sim, struct kad_sim_flight *flight);

/* Frees all flights. */
void kad_sim_flight_free_all(struct kad_sim *sim);

/* Counts a datagram with `outcome`. */
void kad_sim_flight_count(struct kad_sim *sim, enum kad_sim_outcome outcome);

/* Returns the milliseconds that a datagram of `len` bytes to `to` waits until
 * the link has sent those before it and itself. Returns -1 if it is lost
 * because it would wait too long. Advances `*busy_until_us`. */
int kad_sim_flight_queue(const struct kad_sim *sim, uint64_t bandwidth,
                         const struct kad_address *to, size_t len,
                         uint64_t *busy_until_us);

#endif

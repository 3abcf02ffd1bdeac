/* A simulated network: what its parts share.
 *
 *     sim_network.c  opens members; a turn: timers, arrivals, ticks
 *     link.c         a datagram is sent: its outcome and latency
 *     flight.c       it is on its way
 *     arrival.c      it arrives
 *     sockets.c      the table of addresses
 *     curve.c        round-trip times
 *     nat.c          outer addresses of members
 *     clock.c        clocks that are wrong, machines that are suspended
 *     behaviour.c    members that harm others: hostile_liar.c, hostile_sender.c
 *     control.c      the other functions of kadenza_sim.h
 *
 * The outcome of a datagram is decided when it is sent, and again when it
 * arrives: meanwhile its receiver may have left or joined another group. Random
 * decisions are made when it is sent, from the seed alone.
 *
 * Tested by tests/unit/sim/sim_network_test.c. */
#ifndef KAD_SIM_SIM_H
#define KAD_SIM_SIM_H

#include "kadenza_sim.h"
#include "net/network.h"
#include "net/random.h"
#include "sim/curve.h"
#include "sim/trace.h"

struct kad_sim_member;

/* A clock of a node that is not the network's. */
struct kad_sim_clock {
  kad_time_ms since; /* the network's time when this was set */
  kad_time_ms shown; /* the node's time then */
  int32_t drift_ppm;
  int64_t wall_offset_s;
  bool stands;
};

/* What only few members have. */
struct kad_sim_extra {
  struct kad_sim_clock clock;
  uint64_t bandwidth;          /* bytes a second; 0: no limit */
  uint64_t sent_us;            /* when its link has sent all that is queued */
  uint64_t received_us;        /* when its link has received all */
  struct kad_hostile *hostile; /* NULL: honest */
  struct kad_nat *nat;         /* NULL: no NAT */
  bool asleep;                 /* suspended */
};

/* An address of a member, in the table of addresses. */
struct kad_sim_socket {
  struct kad_map_entry entry;
  struct kad_address address; /* via is the index + 1 */
  bool mapped;                /* it is the outer address of a NAT: see nat.h */
  struct kad_sim_member *member;
};

struct kad_sim_member {
  struct kad_member base;
  struct kad_random random;
  uint32_t number;             /* never used for another member */
  uint32_t group;              /* see kad_sim_set_group */
  struct kad_sim_extra *extra; /* NULL: none */
  size_t socket_cap;
  struct kad_sim_socket sockets[];
};

struct kad_sim {
  struct kad_network base;
  struct kad_sim_config config; /* without the quantiles */
  kad_time_ms now;
  struct kad_wheel flights; /* by arrival */
  struct kad_sim_flight *free_small;
  struct kad_sim_flight *free_large;
  struct kad_map sockets;
  uint64_t unbound;            /* sockets removed from the table so far */
  struct kad_sim_curve *curve; /* NULL: a latency is drawn for each datagram */
  uint64_t pair_seed;          /* of the round-trip times of pairs */
  uint64_t draws;              /* state of the draws for datagrams: link.c */
  struct kad_random user;      /* the user's stream */
  uint32_t next_number;        /* of the next member */
  bool grouped;                /* some members are not in group 0 */
  uint16_t next_port;
  struct kad_trace trace;
  struct kad_sim_stats stats;
  kad_sim_trace_fn tracer; /* or NULL */
  void *tracer_data;
  struct kad_hostile **hostiles; /* in no order */
  size_t hostile_count;
  size_t hostile_cap;
};

/* Returns the simulated network that `base` is part of. */
static inline struct kad_sim *kad_sim_of(const struct kad_network *base) {
  return kad_container_of(base, struct kad_sim, base);
}

/* Returns the simulated member that `base` is part of. */
static inline struct kad_sim_member *kad_sim_member_of(
    struct kad_member *base) {
  return kad_container_of(base, struct kad_sim_member, base);
}

/* Returns the extra of `base`, a simulated member; NULL: none. */
static inline struct kad_sim_extra *kad_sim_extra_at(
    const struct kad_member *base) {
  return kad_container_of(base, struct kad_sim_member, base)->extra;
}

/* Returns `network` if it is simulated, else NULL. */
static inline struct kad_sim *kad_sim_checked(
    const struct kad_network *network) {
  return network->simulated ? kad_sim_of(network) : NULL;
}

/* Mixes the bits of `number`: a hash of 64 bits to 64 bits, one to one. */
static inline uint64_t kad_sim_mix(uint64_t number) {
  number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
  return number ^ (number >> 31);
}

#endif

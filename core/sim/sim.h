/* A simulated network: what its parts share.
 *
 *     sim_network.c  opens members; a turn: timers, arrivals, ticks
 *     sim_member.c   members by node
 *     sim_link.c     a datagram is sent: its outcome and latency
 *     sim_flight.c   it is on its way
 *     sim_arrival.c  it arrives
 *     sim_sockets.c  the table of addresses
 *     sim_clock.c    clocks that are wrong, machines that are suspended
 *     curve.c        round-trip times
 *     nat.c          outer addresses of members
 *     hostile_…      members that harm others: see hostile.h
 *     control.c      the other functions of kadenza_sim.h
 *
 * The outcome of a datagram is decided when it is sent, and again when it
 * arrives: meanwhile its receiver may have left or joined another group. Random
 * decisions are made when it is sent, from the seed alone.
 *
 * Tested by tests/unit/sim/sim_network_test.c, tests/unit/sim/link_test.c,
 * tests/unit/sim/life_test.c. */
#ifndef KAD_SIM_SIM_H
#define KAD_SIM_SIM_H

#include "kadenza_sim.h"
#include "net/network.h"
#include "net/random.h"
#include "sim/curve.h"
#include "sim/trace.h"

enum {
  KAD_SIM_SOCKETS_FIRST_PORT = 49152, /* of the dynamic ports; RFC 6335 §6 */
  KAD_SIM_FLIGHT_SIZES = 3            /* for short, usual, long datagrams */
};

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
  bool suspended;              /* see kad_sim_suspend */
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

/* A datagram on its way. */
struct kad_sim_flight {
  struct kad_deadline arrival;
  struct kad_sim_flight *next_free;
  struct kad_address from;
  struct kad_address to;
  uint64_t to_hash;
  struct kad_sim_socket *socket; /* at `to`; see `unbound` */
  uint64_t unbound; /* `unbound` of the network when it was sent: if that
                       differs, `socket` may be gone */
  uint32_t group;   /* the sender's, when it was sent */
  uint16_t cap;     /* bytes of room */
  uint16_t len;
  uint8_t outcome; /* an enum kad_sim_outcome; DELIVERED: it will arrive */
  bool queued;     /* it has waited for the receiver's bandwidth */
  uint8_t bytes[];
};

struct kad_sim {
  struct kad_network base;
  struct kad_sim_config config; /* without the quantiles */
  kad_time_ms now;
  struct kad_wheel flights; /* by arrival */
  struct kad_sim_flight *free_flights[KAD_SIM_FLIGHT_SIZES];
  struct kad_map sockets;
  uint64_t unbound;            /* sockets removed from the table so far */
  struct kad_sim_curve *curve; /* NULL: a latency is drawn for each datagram */
  uint64_t pair_seed;          /* of the round-trip times of pairs */
  uint64_t draws;         /* state of the draws for datagrams: sim_link.c */
  struct kad_random user; /* the user's stream */
  uint32_t next_number;   /* of the next member */
  bool grouped;           /* some members are not in group 0 */
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

/* Returns the member of `node` if it has simulated sockets, else NULL. */
struct kad_sim_member *kad_sim_member_find(const struct kad_network *network,
                                           const struct kad_node *node);

/* Returns the extra of `member`, allocated if need be; NULL: out of memory. */
struct kad_sim_extra *kad_sim_member_extra(struct kad_sim_member *member);

/* Finds the member of `node` as kad_sim_member_find does, and allocates its
 * extra if there is none. Returns 0, KAD_EINVAL or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_sim_member_get_extra(const struct kad_network *network,
                                            const struct kad_node *node,
                                            struct kad_sim_member **member);

/* Hashes an address without its `via`. */
uint64_t kad_sim_sockets_hash(const struct kad_address *address);

/* Returns the socket at `address`, whose hash is `hash`, or NULL. */
struct kad_sim_socket *kad_sim_sockets_find(const struct kad_sim *sim,
                                            const struct kad_address *address,
                                            uint64_t hash);

/* Sets `address->port` to a free port of its ip. Returns false if none is. */
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

/* Ends a flight: counts and traces it, and delivers it if it arrives. It may
 * wait for its receiver's bandwidth first. */
void kad_sim_arrival_end(struct kad_sim *sim, struct kad_sim_flight *flight);

/* Returns the seconds since 1970 at the network's time. */
int64_t kad_sim_clock_wall(const struct kad_sim *sim);

/* `member_now`, `member_wall`, `member_due` of struct kad_network_methods. */
kad_time_ms kad_sim_clock_member_now(struct kad_member *base);
int64_t kad_sim_clock_member_wall(const struct kad_member *base);
kad_time_ms kad_sim_clock_member_due(const struct kad_member *base,
                                     kad_time_ms at);

#endif

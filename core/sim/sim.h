/* The parts of a simulated network.
 *
 *     kadenza.h ──► sim.c (open, turn) ──► sim_link.c (a datagram leaves)
 *                         │                sim_arrival.c (and arrives)
 *                         └──────────────► sim_curve.c (times of pairs)
 *     kadenza.h ──► sim_control.c (groups, crashes, counters)
 *                 sim_clock.c (clocks that are wrong, machines that sleep)
 *                 sim_nat.c (addresses that others see, and who gets in)
 *                 hostile.c … (nodes that do others harm)
 *
 * A datagram is judged when it is sent, and again when it arrives: in between
 * its receiver may have gone, or been parted from its sender. Chance decides at
 * the first moment, by numbers that depend on the seed alone. */
#ifndef KAD_SIM_SIM_H
#define KAD_SIM_SIM_H

#include "kadenza_sim.h"
#include "net/network.h"
#include "net/random.h"
#include "sim/trace.h"

enum {
  KAD_SIM_CURVE_STEPS = 1024
};

/* Round-trip times by their share, in equal steps. */
struct kad_sim_curve {
  uint32_t rtt_us[KAD_SIM_CURVE_STEPS + 1];
};

struct kad_sim_member;

/* The clocks of a node that are not those of the network. */
struct kad_sim_clock {
  kad_time_ms since; /* of the network: when this was set */
  kad_time_ms shown; /* by the node's clock at that moment */
  int32_t drift_ppm;
  int64_t wall_offset_s;
  bool stands;
};

/* What few members have. */
struct kad_sim_extra {
  struct kad_sim_clock clock;
  uint64_t bandwidth;          /* bytes a second; 0: no bound */
  uint64_t sent_us;            /* when all that it sent so far has left it */
  uint64_t heard_us;           /* when all that has reached it is received */
  struct kad_hostile *hostile; /* NULL: honest */
  struct kad_nat *nat;         /* NULL: open to all */
  bool asleep;
};

/* An address of a member, in the table of all addresses. */
struct kad_sim_socket {
  struct kad_map_entry entry;
  struct kad_address address; /* via is the index + 1 */
  bool mapped;                /* it is the outer one of a NAT: see sim_nat.h */
  struct kad_sim_member *member;
};

struct kad_sim_member {
  struct kad_member base;
  struct kad_random random;
  uint32_t number;             /* of the member, for ever its own */
  uint32_t group;              /* others are out of its reach */
  struct kad_sim_extra *extra; /* NULL: none of that */
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
  struct kad_sim_socket *socket; /* at `to`, if none has been unbound since */
  uint64_t unbound;              /* how many had been then */
  uint32_t group;                /* of the sender, when it sent */
  uint16_t cap;                  /* bytes of room */
  uint16_t len;
  uint8_t outcome; /* an enum kad_sim_outcome: KAD_SIM_OUTCOME_DELIVERED if it
                      arrives */
  bool queued;     /* it has waited for its receiver's bandwidth */
  uint8_t bytes[];
};

struct kad_sim {
  struct kad_network base;
  struct kad_sim_config config; /* without the quantiles */
  kad_time_ms now;
  struct kad_wheel flights;
  struct kad_sim_flight *free_small;
  struct kad_sim_flight *free_large;
  struct kad_map sockets;
  uint64_t unbound;            /* sockets that were taken out of it so far */
  struct kad_sim_curve *curve; /* NULL: each datagram draws for itself */
  uint64_t pairs;              /* what the pairs' times are hashed with */
  uint64_t draws;              /* chances taken so far, and the seed's start */
  struct kad_random user;
  uint32_t next_number; /* of the next member */
  bool grouped;         /* not all members are in group 0 */
  uint16_t next_port;
  struct kad_trace trace;
  struct kad_sim_stats stats;
  void (*tracer)(void *data, const struct kad_sim_event *event);
  void *tracer_data;
  struct kad_hostile **hostiles; /* all of them, in no order */
  size_t hostile_count;
  size_t hostile_cap;
};

/* Return what a network, or a member with sockets, is the base of. */
static inline struct kad_sim *kad_sim_of(const struct kad_network *base) {
  return kad_container_of(base, struct kad_sim, base);
}

/* See kad_sim_of. */
static inline struct kad_sim_member *kad_sim_member_of(
    struct kad_member *base) {
  return kad_container_of(base, struct kad_sim_member, base);
}

/* Returns what `base`, a member with sockets, has of that; may be NULL. */
static inline struct kad_sim_extra *kad_sim_extra_at(
    const struct kad_member *base) {
  return kad_container_of(base, struct kad_sim_member, base)->extra;
}

/* Returns `network` if it is a simulated one, else NULL. */
struct kad_sim *kad_sim_checked(const struct kad_network *network);

/* Returns the member of `node` if it has sockets in a simulated network, else
 * NULL. */
struct kad_sim_member *kad_sim_find_member(const struct kad_network *network,
                                           const struct kad_node *node);

/* Returns a number as good as a random one for each `number`. */
static inline uint64_t kad_sim_mix(uint64_t number) {
  number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
  return number ^ (number >> 31);
}

/* Returns the extra of `member`, made if it has none; NULL when memory ends. */
struct kad_sim_extra *kad_sim_extra_of(struct kad_sim_member *member);

/* Frees what the extra has, and itself. */
void kad_sim_extra_free(struct kad_sim_member *member);

/* Returns true if `member` is one of a simulated network and on no transport.
 */
bool kad_sim_has_sockets(const struct kad_member *member);

/* The methods of network.h for members with clocks of their own. */
kad_time_ms kad_sim_member_now(struct kad_member *base);
int64_t kad_sim_member_wall(const struct kad_member *base);
kad_time_ms kad_sim_due(const struct kad_member *base, kad_time_ms at);

/* Returns the seconds since 1970 at the network's time. */
int64_t kad_sim_wall(const struct kad_sim *sim);

/* Binds `member`, which has no address, to `count` of them. Returns 0,
 * KAD_EADDRINUSE or KAD_ENOMEM, and then it has none. */
KAD_MUST_CHECK int kad_sim_bind(struct kad_sim_member *member,
                                const struct kad_address *listen, size_t count);

/* Gives `address` a port that is free with its ip. Returns false if all are
 * taken. */
bool kad_sim_choose_port(struct kad_sim *sim, struct kad_address *address);

/* Takes the sockets of `member` out of the table of addresses: they are behind
 * a NAT. */
void kad_sim_hide(struct kad_sim_member *member);

/* Takes all addresses from `member`. */
void kad_sim_unbind(struct kad_sim_member *member);

/* Hashes an address, whatever its `via`. */
uint64_t kad_sim_hash(const struct kad_address *address);

/* Takes `socket` out of the table of addresses. */
static inline void kad_sim_take_out(struct kad_sim *sim,
                                    struct kad_sim_socket *socket) {
  kad_map_remove(&sim->sockets, &socket->entry);
  sim->unbound++;
}

/* Returns the socket at `address`, whose hash is `hash`, or NULL. */
struct kad_sim_socket *kad_sim_find(const struct kad_sim *sim,
                                    const struct kad_address *address,
                                    uint64_t hash);

/* Begins the seed's chances, and makes the curve that the configuration asks
 * for. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_sim_link_init(struct kad_sim *sim,
                                     const struct kad_sim_config *config);

/* Frees the curve, and the flights. */
void kad_sim_link_deinit(struct kad_sim *sim);

/* Sends a datagram from the address `i` of `from`, or loses it. */
void kad_sim_transmit(struct kad_sim_member *from, int i,
                      const struct kad_address *to, struct kad_slice datagram);

/* The same under the false address `as`. `from` is hostile. */
void kad_sim_forge(struct kad_sim_member *from, const struct kad_address *as,
                   const struct kad_address *to, struct kad_slice datagram);

/* Returns the milliseconds that a datagram waits until those before it are
 * through, or -1 when it is lost for that. `*through_us` is when they are. */
int kad_sim_queue(const struct kad_sim *sim, uint64_t bandwidth,
                  const struct kad_address *to, size_t len,
                  uint64_t *through_us);

/* Counts a datagram with `outcome`. */
void kad_sim_count(struct kad_sim *sim, enum kad_sim_outcome outcome);

/* Ends a flight: what becomes of it is counted, traced and, if it arrives,
 * received. */
void kad_sim_arrive(struct kad_sim *sim, struct kad_sim_flight *flight);

/* Puts a flight that has ended aside for the next one. */
void kad_sim_give_back(struct kad_sim *sim, struct kad_sim_flight *flight);

/* Returns true if the latency of `config` is one that can be had. */
bool kad_sim_curve_is_valid(const struct kad_sim_config *config);

/* Fills in the curve of `config`, which is valid and not
 * KAD_SIM_LATENCY_UNIFORM. */
void kad_sim_curve_fill(const struct kad_sim_config *config,
                        struct kad_sim_curve *curve);

#endif

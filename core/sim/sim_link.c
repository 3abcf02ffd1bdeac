#include "base/allocator.h"
#include "base/time.h"
#include "sim/nat.h"
#include "sim/sim.h"

#include <string.h>

enum {
  STREAM_LINKS = 0 /* number of the seed's stream */
};

int kad_sim_link_init(struct kad_sim *sim,
                      const struct kad_sim_config *config) {
  struct kad_random start;
  kad_random_init(&start, config->seed, STREAM_LINKS);
  sim->draws = kad_random_next(&start);
  sim->pair_seed = kad_random_next(&start);
  if (config->latency == KAD_SIM_LATENCY_UNIFORM) {
    return 0;
  }
  sim->curve = kad_alloc(&sim->base.allocator, sizeof *sim->curve);
  if (sim->curve == NULL) {
    return KAD_ENOMEM;
  }
  kad_sim_curve_fill(config, sim->curve);
  return 0;
}

void kad_sim_link_deinit(struct kad_sim *sim) {
  kad_release(&sim->base.allocator, sim->curve, sizeof *sim->curve);
}

/* What is drawn for one datagram. Each kind has numbers of its own, so that
 * another rate of loss does not change the datagrams that arrive. */
enum draw {
  DRAW_LOSS,
  DRAW_DUPLICATE,
  DRAW_LATENCY,
  DRAW_REORDER,
  DRAW_DUPLICATE_LATENCY, /* of the duplicate */
  DRAW_DUPLICATE_REORDER,
  DRAWS
};

static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

/* Draws a number for the current datagram: Weyl's sequence, mixed. */
static uint64_t draw(const struct kad_sim *sim, enum draw kind) {
  return kad_sim_mix(sim->draws + (uint64_t)kind * golden);
}

/* Returns true with probability `share`, by the upper bits of `drawn`. */
static bool is_within(uint64_t drawn, double share) {
  return (double)(drawn >> 11) / 9007199254740992.0 < share;
}

/* Returns a number in 0 … `most`, by the lower bits of `drawn`. */
static uint32_t up_to(uint64_t drawn, uint32_t most) {
  return (uint32_t)(((drawn & UINT32_MAX) * ((uint64_t)most + 1)) >> 32);
}

/* Returns the part of the pair's round-trip time from `from` to `to`. The time
 * is a hash of the pair, so that it takes no memory. */
static uint32_t pair_ms(const struct kad_sim *sim, uint32_t from, uint32_t to) {
  const uint64_t low = from < to ? from : to;
  const uint64_t high = from < to ? to : from;
  const uint64_t hash = kad_sim_mix(
      sim->pair_seed + kad_sim_mix((high << 32 | low) + sim->pair_seed));
  const size_t step = (size_t)(hash % KAD_SIM_CURVE_STEPS);
  const uint32_t *rtt_us = &sim->curve->rtt_us[step];
  const uint64_t rise = (rtt_us[1] - rtt_us[0]) * (hash >> 32) >> 32;
  const uint32_t rtt_ms = (uint32_t)((rtt_us[0] + rise + 500) / 1000);
  return from < to ? rtt_ms / 2 : rtt_ms - rtt_ms / 2;
}

/* Draws the latency of a datagram, or of its duplicate. */
static uint32_t draw_latency(const struct kad_sim *sim, uint32_t from,
                             uint32_t to, bool is_duplicate) {
  const struct kad_sim_config *config = &sim->config;
  const uint64_t drawn =
      draw(sim, is_duplicate ? DRAW_DUPLICATE_LATENCY : DRAW_LATENCY);
  uint32_t ms = 0;
  if (sim->curve == NULL) {
    ms = config->latency_min_ms +
         up_to(drawn, config->latency_max_ms - config->latency_min_ms);
  } else if (from != to) {
    ms = pair_ms(sim, from, to);
  }
  if (config->jitter_ms > 0) {
    ms += up_to(drawn >> 32, config->jitter_ms);
  }
  if (config->reorder > 0) {
    const uint64_t delay =
        draw(sim, is_duplicate ? DRAW_DUPLICATE_REORDER : DRAW_REORDER);
    if (is_within(delay, config->reorder)) {
      ms += 1 + up_to(delay, config->reorder_ms - 1);
    }
  }
  /* At least 1: with 0, two nodes could reply to each other without end. */
  return ms > 0 ? ms : 1;
}

/* A datagram that is being sent. */
struct parcel {
  const struct kad_sim_member *from;
  struct kad_sim_socket *socket; /* NULL: no node is there */
  const struct kad_address *from_address;
  const struct kad_address *to_address;
  uint64_t to_hash;
  struct kad_slice bytes;
  bool filtered; /* by the sender's NAT */
};

static void start_flight(struct kad_sim *sim, const struct parcel *parcel,
                         enum kad_sim_outcome outcome, uint32_t ms) {
  struct kad_sim_flight *flight = kad_sim_flight_new(sim, parcel->bytes.len);
  if (flight == NULL) {
    sim->stats.dropped++;
    return;
  }
  flight->from = *parcel->from_address;
  flight->to = *parcel->to_address;
  flight->to_hash = parcel->to_hash;
  flight->socket = parcel->socket;
  flight->unbound = sim->unbound;
  flight->group = parcel->from->group;
  flight->outcome = (uint8_t)outcome;
  flight->queued = false;
  flight->len = (uint16_t)parcel->bytes.len;
  if (flight->len > 0) {
    memcpy(flight->bytes, parcel->bytes.data, flight->len);
  }
  kad_wheel_add(&sim->flights, &flight->arrival, kad_time_add(sim->now, ms));
}

/* Decides the outcome when sent. `*wait_ms`: the time in the sender's queue. */
static enum kad_sim_outcome decide_outcome(struct kad_sim *sim,
                                           const struct parcel *parcel,
                                           int *wait_ms) {
  struct kad_sim_extra *extra = parcel->from->extra;
  if (extra != NULL && extra->bandwidth > 0) {
    *wait_ms = kad_sim_flight_queue(sim, extra->bandwidth, parcel->to_address,
                                    parcel->bytes.len, &extra->sent_us);
  }
  if (*wait_ms < 0) {
    *wait_ms = 0;
    return KAD_SIM_OUTCOME_CONGESTED;
  }
  if (parcel->filtered) {
    return KAD_SIM_OUTCOME_FILTERED;
  }
  if (parcel->socket == NULL) {
    return KAD_SIM_OUTCOME_UNREACHABLE;
  }
  if (parcel->socket->member->group != parcel->from->group) {
    return KAD_SIM_OUTCOME_PARTITIONED;
  }
  return is_within(draw(sim, DRAW_LOSS), sim->config.loss)
             ? KAD_SIM_OUTCOME_LOST
             : KAD_SIM_OUTCOME_DELIVERED;
}

/* Loses a datagram. If there is a tracer, it is traced a millisecond later. */
static void lose_datagram(struct kad_sim *sim, const struct parcel *parcel,
                          enum kad_sim_outcome outcome) {
  if (sim->tracer != NULL) {
    start_flight(sim, parcel, outcome, 1);
  } else {
    kad_sim_flight_count(sim, outcome);
  }
}

static void send_parcel(struct kad_sim *sim, const struct parcel *parcel) {
  const double duplicate = sim->config.duplicate;
  int wait_ms = 0;
  sim->draws += DRAWS * golden;
  const enum kad_sim_outcome outcome = decide_outcome(sim, parcel, &wait_ms);
  if (outcome != KAD_SIM_OUTCOME_DELIVERED) {
    lose_datagram(sim, parcel, outcome);
    return;
  }
  const uint32_t from = parcel->from->number;
  const uint32_t to = parcel->socket->member->number;
  const uint32_t ms = draw_latency(sim, from, to, false);
  start_flight(sim, parcel, outcome, (uint32_t)wait_ms + ms);
  if (duplicate > 0 && is_within(draw(sim, DRAW_DUPLICATE), duplicate)) {
    const uint32_t duplicate_ms = draw_latency(sim, from, to, true);
    sim->stats.duplicated++;
    start_flight(sim, parcel, outcome, (uint32_t)wait_ms + duplicate_ms);
  }
}

/* Sends `bytes` with the sender `as`; NULL: the sender's NAT drops them. */
static void send_as(struct kad_sim_member *from, const struct kad_address *as,
                    const struct kad_address *to, struct kad_slice bytes) {
  struct kad_sim *sim = kad_sim_of(from->base.network);
  const uint64_t hash = kad_sim_sockets_hash(to);
  const struct parcel parcel = {
      .from = from,
      .socket = kad_sim_sockets_find(sim, to, hash),
      .from_address = as != NULL ? as : &from->base.addresses[0],
      .to_address = to,
      .to_hash = hash,
      .bytes = bytes,
      .filtered = as == NULL,
  };
  sim->stats.sent++;
  sim->stats.sent_bytes += bytes.len;
  send_parcel(sim, &parcel);
}

void kad_sim_link_send(struct kad_sim_member *from, int i,
                       const struct kad_address *to,
                       struct kad_slice datagram) {
  struct kad_nat *nat = from->extra != NULL ? from->extra->nat : NULL;
  const struct kad_address *as =
      nat != NULL ? kad_nat_out(nat, i, to) : &from->base.addresses[i];
  send_as(from, as, to, datagram);
}

void kad_sim_link_forge(struct kad_sim_member *from,
                        const struct kad_address *as,
                        const struct kad_address *to,
                        struct kad_slice datagram) {
  const int i = kad_member_source(&from->base, to);
  if (from->extra->nat == NULL) {
    send_as(from, as, to, datagram);
  } else if (i >= 0) {
    kad_sim_link_send(from, i, to, datagram); /* the NAT sets the sender */
  }
}

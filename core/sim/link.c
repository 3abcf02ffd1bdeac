#include "base/allocator.h"
#include "base/array.h"
#include "base/time.h"
#include "sim/nat.h"

#include <string.h>

enum {
  SMALL_SIZE = 256, /* bytes: most queries and replies fit in */
  STREAM_LINKS = 0, /* number of the seed's stream */
  US_PER_MS = 1000,
  US_PER_S = 1000000,
  LONGEST_QUEUE_US = US_PER_S,
  HEADERS_IP4 = 28, /* bytes of IP and UDP */
  HEADERS_IP6 = 48
};

/* ------------------------------------------------------------- flights -- */

static struct kad_sim_flight **free_list(struct kad_sim *sim, size_t cap) {
  return cap == SMALL_SIZE ? &sim->free_small : &sim->free_large;
}

static struct kad_sim_flight *take_flight(struct kad_sim *sim, size_t len) {
  const size_t cap = len <= SMALL_SIZE ? SMALL_SIZE : KAD_NETWORK_DATAGRAM_MAX;
  struct kad_sim_flight **list = free_list(sim, cap);
  struct kad_sim_flight *flight = *list;
  if (flight != NULL) {
    *list = flight->next_free;
    return flight;
  }
  flight = kad_alloc(&sim->base.allocator, sizeof *flight + cap);
  if (flight != NULL) {
    flight->cap = (uint16_t)cap;
    flight->arrival = (struct kad_deadline){0};
  }
  return flight;
}

void kad_sim_give_back(struct kad_sim *sim, struct kad_sim_flight *flight) {
  struct kad_sim_flight **list = free_list(sim, flight->cap);
  flight->next_free = *list;
  *list = flight;
}

static void free_flights(struct kad_sim *sim, struct kad_sim_flight *list) {
  while (list != NULL) {
    struct kad_sim_flight *flight = list;
    list = flight->next_free;
    kad_release(&sim->base.allocator, flight, sizeof *flight + flight->cap);
  }
}

/* -------------------------------------------------------------- chance -- */

int kad_sim_link_init(struct kad_sim *sim,
                      const struct kad_sim_config *config) {
  kad_wheel_init(&sim->flights, &sim->base.allocator);
  struct kad_random start;
  kad_random_init(&start, config->seed, STREAM_LINKS);
  sim->draws = kad_random_next(&start);
  sim->pairs = kad_random_next(&start);
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
  struct kad_deadline *due = NULL;
  while ((due = kad_wheel_pop_due(&sim->flights, KAD_TIME_NEVER)) != NULL) {
    kad_sim_give_back(sim,
                      kad_container_of(due, struct kad_sim_flight, arrival));
  }
  kad_wheel_deinit(&sim->flights);
  free_flights(sim, sim->free_small);
  free_flights(sim, sim->free_large);
  kad_release(&sim->base.allocator, sim->curve, sizeof *sim->curve);
  KAD_ARRAY_FREE(&sim->base.allocator, &sim->hostiles, &sim->hostile_cap);
}

/* What is left to chance about one datagram. Each has numbers of its own, so
 * that another rate of loss changes nothing about those that arrive. */
enum chance {
  CHANCE_LOSS,
  CHANCE_TWICE,
  CHANCE_LATENCY,
  CHANCE_HELD_UP,
  CHANCE_LATENCY_TWIN, /* the same of a duplicate */
  CHANCE_HELD_UP_TWIN,
  CHANCES
};

static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

/* Draws a number for the present datagram: Weyl's sequence, mixed. */
static uint64_t draw(const struct kad_sim *sim, enum chance chance) {
  return kad_sim_mix(sim->draws + (uint64_t)chance * golden);
}

/* Returns true in `share` of the cases, by the upper bits of `drawn`. */
static bool falls_within(uint64_t drawn, double share) {
  return (double)(drawn >> 11) / 9007199254740992.0 < share;
}

/* Returns a number in 0 … `most` by the lower bits of `drawn`. */
static uint32_t up_to(uint64_t drawn, uint32_t most) {
  return (uint32_t)(((drawn & UINT32_MAX) * ((uint64_t)most + 1)) >> 32);
}

/* ------------------------------------------------------------- latency -- */

/* Returns the half of the pair's round trip that goes from `from` to `to`. The
 * pair is hashed, so that it takes no memory. */
static uint32_t pair_ms(const struct kad_sim *sim, uint32_t from, uint32_t to) {
  const uint64_t low = from < to ? from : to;
  const uint64_t high = from < to ? to : from;
  const uint64_t hash =
      kad_sim_mix(sim->pairs + kad_sim_mix((high << 32 | low) + sim->pairs));
  const size_t step = (size_t)(hash % KAD_SIM_CURVE_STEPS);
  const uint32_t *rtt_us = &sim->curve->rtt_us[step];
  const uint64_t rise = (rtt_us[1] - rtt_us[0]) * (hash >> 32) >> 32;
  const uint32_t rtt_ms = (uint32_t)((rtt_us[0] + rise + 500) / 1000);
  return from < to ? rtt_ms / 2 : rtt_ms - rtt_ms / 2;
}

/* Draws how long one datagram takes, or its twin. */
static uint32_t draw_latency(const struct kad_sim *sim, uint32_t from,
                             uint32_t to, bool twin) {
  const struct kad_sim_config *config = &sim->config;
  const uint64_t drawn = draw(sim, twin ? CHANCE_LATENCY_TWIN : CHANCE_LATENCY);
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
    const uint64_t held_up =
        draw(sim, twin ? CHANCE_HELD_UP_TWIN : CHANCE_HELD_UP);
    if (falls_within(held_up, config->reorder)) {
      ms += 1 + up_to(held_up, config->reorder_ms - 1);
    }
  }
  /* What arrives at once could be answered at once, for ever. */
  return ms > 0 ? ms : 1;
}

/* ----------------------------------------------------------- bandwidth -- */

int kad_sim_queue(const struct kad_sim *sim, uint64_t bandwidth,
                  const struct kad_address *to, size_t len,
                  uint64_t *through_us) {
  const uint64_t now_us = sim->now * US_PER_MS;
  const uint64_t size = len + (to->family == 4 ? HEADERS_IP4 : HEADERS_IP6);
  const uint64_t begin_us = *through_us > now_us ? *through_us : now_us;
  if (begin_us - now_us > LONGEST_QUEUE_US) {
    return -1;
  }
  *through_us = begin_us + size * US_PER_S / bandwidth;
  return (int)((*through_us - now_us) / US_PER_MS);
}

/* ------------------------------------------------------------- sending -- */

struct parcel {
  const struct kad_sim_member *from;
  struct kad_sim_socket *socket; /* NULL: nobody is there */
  const struct kad_address *from_address;
  const struct kad_address *to_address;
  uint64_t to_hash;
  struct kad_slice bytes;
  bool filtered; /* by its own NAT */
};

static void fly(struct kad_sim *sim, const struct parcel *parcel,
                enum kad_sim_outcome outcome, uint32_t ms) {
  struct kad_sim_flight *flight = take_flight(sim, parcel->bytes.len);
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

/* Decides by the parties and by chance what becomes of a datagram. `*wait_ms`
 * is for how long it queues at its sender. */
static enum kad_sim_outcome decide(struct kad_sim *sim,
                                   const struct parcel *parcel, int *wait_ms) {
  struct kad_sim_extra *extra = parcel->from->extra;
  if (extra != NULL && extra->bandwidth > 0) {
    *wait_ms = kad_sim_queue(sim, extra->bandwidth, parcel->to_address,
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
  return falls_within(draw(sim, CHANCE_LOSS), sim->config.loss)
             ? KAD_SIM_OUTCOME_LOST
             : KAD_SIM_OUTCOME_DELIVERED;
}

/* Sends a datagram that will be lost: it flies only to be traced. */
static void lose(struct kad_sim *sim, const struct parcel *parcel,
                 enum kad_sim_outcome outcome) {
  if (sim->tracer != NULL) {
    fly(sim, parcel, outcome, 1);
  } else {
    kad_sim_count(sim, outcome);
  }
}

static void dispatch(struct kad_sim *sim, const struct parcel *parcel) {
  const double duplicate = sim->config.duplicate;
  int wait_ms = 0;
  sim->draws += CHANCES * golden;
  const enum kad_sim_outcome outcome = decide(sim, parcel, &wait_ms);
  if (outcome != KAD_SIM_OUTCOME_DELIVERED) {
    lose(sim, parcel, outcome);
    return;
  }
  const uint32_t from = parcel->from->number;
  const uint32_t to = parcel->socket->member->number;
  const uint32_t ms = draw_latency(sim, from, to, false);
  fly(sim, parcel, outcome, (uint32_t)wait_ms + ms);
  if (duplicate > 0 && falls_within(draw(sim, CHANCE_TWICE), duplicate)) {
    const uint32_t twin_ms = draw_latency(sim, from, to, true);
    sim->stats.duplicated++;
    fly(sim, parcel, outcome, (uint32_t)wait_ms + twin_ms);
  }
}

/* Sends `bytes` under the address `as`; NULL: the sender's NAT lets it not. */
static void post(struct kad_sim_member *from, const struct kad_address *as,
                 const struct kad_address *to, struct kad_slice bytes) {
  struct kad_sim *sim = kad_sim_of(from->base.network);
  const uint64_t hash = kad_sim_hash(to);
  const struct parcel parcel = {
      .from = from,
      .socket = kad_sim_find(sim, to, hash),
      .from_address = as != NULL ? as : &from->base.addresses[0],
      .to_address = to,
      .to_hash = hash,
      .bytes = bytes,
      .filtered = as == NULL,
  };
  sim->stats.sent++;
  sim->stats.sent_bytes += bytes.len;
  dispatch(sim, &parcel);
}

void kad_sim_transmit(struct kad_sim_member *from, int i,
                      const struct kad_address *to, struct kad_slice datagram) {
  struct kad_nat *nat = from->extra != NULL ? from->extra->nat : NULL;
  const struct kad_address *as =
      nat != NULL ? kad_nat_out(nat, i, to) : &from->base.addresses[i];
  post(from, as, to, datagram);
}

void kad_sim_forge(struct kad_sim_member *from, const struct kad_address *as,
                   const struct kad_address *to, struct kad_slice datagram) {
  const int i = kad_member_source(&from->base, to);
  if (from->extra->nat == NULL) {
    post(from, as, to, datagram);
  } else if (i >= 0) {
    kad_sim_transmit(from, i, to, datagram); /* NATs put their own there */
  }
}

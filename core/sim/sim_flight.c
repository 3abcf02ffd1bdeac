#include "base/allocator.h"
#include "sim/sim.h"

enum {
  SMALL_SIZE = 256, /* bytes: most queries and replies fit in */
  US_PER_MS = 1000,
  US_PER_S = 1000000,
  LONGEST_QUEUE_US = US_PER_S,
  HEADERS_IP4 = 28, /* bytes of IP and UDP */
  HEADERS_IP6 = 48
};

/* The sizes of flights, in bytes. */
static const uint16_t caps[KAD_SIM_FLIGHT_SIZES] = {
    SMALL_SIZE, KAD_DATAGRAM_USUAL, KAD_DATAGRAM_MAX};

/* Returns the number of the smallest size that has room for `len` bytes. */
static size_t size_of(size_t len) {
  size_t i = 0;
  while (i < KAD_SIM_FLIGHT_SIZES - 1 && len > caps[i]) {
    i++;
  }
  return i;
}

struct kad_sim_flight *kad_sim_flight_new(struct kad_sim *sim, size_t len) {
  const size_t size = size_of(len);
  const uint16_t cap = caps[size];
  struct kad_sim_flight **list = &sim->free_flights[size];
  struct kad_sim_flight *flight = *list;
  if (flight != NULL) {
    *list = flight->next_free;
    return flight;
  }
  flight = kad_alloc(&sim->base.allocator, sizeof *flight + cap);
  if (flight != NULL) {
    flight->cap = cap;
    flight->arrival = (struct kad_deadline){0};
  }
  return flight;
}

void kad_sim_flight_end(struct kad_sim *sim, struct kad_sim_flight *flight) {
  struct kad_sim_flight **list = &sim->free_flights[size_of(flight->cap)];
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

void kad_sim_flight_free_all(struct kad_sim *sim) {
  struct kad_deadline *due = NULL;
  while ((due = kad_wheel_pop_due(&sim->flights, KAD_TIME_NEVER)) != NULL) {
    kad_sim_flight_end(sim,
                       kad_container_of(due, struct kad_sim_flight, arrival));
  }
  kad_wheel_deinit(&sim->flights);
  for (size_t i = 0; i < KAD_SIM_FLIGHT_SIZES; i++) {
    free_flights(sim, sim->free_flights[i]);
  }
}

/* The name of each outcome, and its counter in struct kad_sim_stats. */
static const struct {
  const char *name;
  size_t counter;
} outcomes[] = {
#define OUTCOME(outcome, field) \
  [outcome] = {#field, offsetof(struct kad_sim_stats, field)}
    OUTCOME(KAD_SIM_OUTCOME_DELIVERED, delivered),
    OUTCOME(KAD_SIM_OUTCOME_LOST, lost),
    OUTCOME(KAD_SIM_OUTCOME_CONGESTED, congested),
    OUTCOME(KAD_SIM_OUTCOME_PARTITIONED, partitioned),
    OUTCOME(KAD_SIM_OUTCOME_SUSPENDED, suspended),
    OUTCOME(KAD_SIM_OUTCOME_UNREACHABLE, unreachable),
    OUTCOME(KAD_SIM_OUTCOME_FILTERED, filtered),
#undef OUTCOME
};

void kad_sim_flight_count(struct kad_sim *sim, enum kad_sim_outcome outcome) {
  void *counter = (char *)&sim->stats + outcomes[outcome].counter;
  (*(uint64_t *)counter)++;
}

const char *kad_sim_outcome_name(enum kad_sim_outcome outcome) {
  return (size_t)outcome < sizeof outcomes / sizeof *outcomes
             ? outcomes[outcome].name
             : "unknown";
}

int kad_sim_flight_queue(const struct kad_sim *sim, uint64_t bandwidth,
                         const struct kad_address *to, size_t len,
                         uint64_t *busy_until_us) {
  const uint64_t now_us = sim->now * US_PER_MS;
  const uint64_t size = len + (to->family == 4 ? HEADERS_IP4 : HEADERS_IP6);
  const uint64_t begin_us = *busy_until_us > now_us ? *busy_until_us : now_us;
  if (begin_us - now_us > LONGEST_QUEUE_US) {
    return -1;
  }
  *busy_until_us = begin_us + size * US_PER_S / bandwidth;
  return (int)((*busy_until_us - now_us) / US_PER_MS);
}

#include "base/allocator.h"
#include "base/array.h"
#include "base/time.h"
#include "sim/hostile.h"
#include "sim/nat.h"
#include "sim/sim.h"

enum {
  FIRST_MS = KAD_MS_PER_S, /* the clock begins here: to some, 0 is "never" */
  STREAM_USER = 1,         /* numbers of the seed's streams */
  STREAM_MEMBERS = 2
};

static void sim_send(void *state, const struct kad_address *to,
                     struct kad_slice datagram) {
  struct kad_sim_member *member = state;
  const int i = kad_member_source(&member->base, to);
  const bool awake = member->extra == NULL || !member->extra->suspended;
  if (i >= 0 && awake && !member->base.leaving &&
      datagram.len <= KAD_DATAGRAM_MAX) {
    kad_sim_link_send(member, i, to, datagram);
  }
}

static void end_due_flights(struct kad_sim *sim) {
  while (!sim->base.stopped) {
    struct kad_deadline *due = kad_wheel_pop_due(&sim->flights, sim->now);
    if (due == NULL) {
      return;
    }
    struct kad_sim_flight *flight =
        kad_container_of(due, struct kad_sim_flight, arrival);
    kad_sim_arrival_end(sim, flight);
  }
}

static kad_time_ms next_event(struct kad_sim *sim) {
  kad_network_reschedule(&sim->base);
  const kad_time_ms own = kad_network_next(&sim->base);
  const kad_time_ms arrival = kad_wheel_next(&sim->flights);
  return own < arrival ? own : arrival;
}

/* Does all that is due at the time of the next event, if that is not after
 * `end`. Returns false if there is none. */
static bool do_turn(struct kad_sim *sim, kad_time_ms end) {
  const kad_time_ms next = next_event(sim);
  if (next == KAD_TIME_NEVER || next > end) {
    return false;
  }
  if (next > sim->now) {
    sim->now = next;
  }
  sim->base.turn++;
  kad_network_fire_due(&sim->base, sim->now);
  end_due_flights(sim);
  kad_network_reschedule(&sim->base);
  kad_network_tick_due(&sim->base, sim->now);
  return true;
}

static void sim_run(struct kad_network *network, kad_time_ms duration_ms) {
  struct kad_sim *sim = kad_sim_of(network);
  const kad_time_ms end = kad_time_add(sim->now, duration_ms);
  while (!network->stopped && do_turn(sim, end)) {
  }
  if (!network->stopped && end != KAD_TIME_NEVER) {
    sim->now = end;
  }
}

static void sim_step(struct kad_network *network) {
  (void)do_turn(kad_sim_of(network), KAD_TIME_NEVER);
}

static int sim_timeout(const struct kad_network *network) {
  return next_event(kad_sim_of(network)) == KAD_TIME_NEVER ? -1 : 0;
}

static kad_time_ms sim_now(struct kad_network *network) {
  return kad_sim_of(network)->now;
}

static int64_t sim_wall_clock(const struct kad_network *network) {
  return kad_sim_clock_wall(kad_sim_of(network));
}

static void sim_random(struct kad_network *network, uint8_t *out, size_t len) {
  kad_random_fill(&kad_sim_of(network)->user, out, len);
}

static void sim_member_random(void *state, uint8_t *out, size_t len) {
  struct kad_sim_member *member = state;
  kad_random_fill(&member->random, out, len);
}

static uint64_t sim_trace_hash(const struct kad_network *network) {
  return kad_sim_of(network)->trace.hash;
}

static void sim_unbind(struct kad_member *base) {
  kad_nat_unbind(kad_sim_member_of(base));
}

/* Most nodes have one socket. */
static size_t member_size(size_t count) {
  return sizeof(struct kad_sim_member) + count * sizeof(struct kad_sim_socket);
}

static void sim_release(struct kad_member *base) {
  struct kad_sim_member *member = kad_sim_member_of(base);
  if (member->extra != NULL) {
    kad_behaviour_end(member->extra->hostile);
    kad_nat_free(member->extra->nat);
    kad_release(&base->network->allocator, member->extra,
                sizeof *member->extra);
  }
  kad_release(&base->network->allocator, member,
              member_size(member->socket_cap));
}

static const struct kad_member_methods member_methods = {
    .unbind = sim_unbind,
    .release = sim_release,
    .random = sim_member_random,
    .send = sim_send,
};

/* Gives a new member the bandwidth of the configuration. */
static int limit_bandwidth(const struct kad_sim *sim,
                           struct kad_sim_member *member) {
  struct kad_sim_extra *extra = kad_sim_member_extra(member);
  if (extra == NULL) {
    kad_nat_unbind(member);
    return KAD_ENOMEM;
  }
  extra->bandwidth = sim->config.bandwidth;
  return 0;
}

static int sim_open(struct kad_network *network,
                    const struct kad_address *listen, size_t count,
                    struct kad_member **member) {
  struct kad_sim *sim = kad_sim_of(network);
  struct kad_sim_member *opened =
      kad_alloc_zero(&network->allocator, member_size(count));
  if (opened == NULL) {
    return KAD_ENOMEM;
  }
  opened->base.methods = &member_methods;
  opened->base.network = network;
  opened->base.simulated = true;
  opened->socket_cap = count;
  int error = kad_sim_sockets_bind(opened, listen, count);
  if (error == 0 && sim->config.bandwidth > 0) {
    error = limit_bandwidth(sim, opened);
  }
  if (error < 0) {
    sim_release(&opened->base);
    return error;
  }
  opened->number = sim->next_number++;
  kad_random_init(&opened->random, sim->config.seed,
                  STREAM_MEMBERS + (uint64_t)opened->number);
  *member = &opened->base;
  return 0;
}

static void sim_free(struct kad_network *network) {
  struct kad_sim *sim = kad_sim_of(network);
  kad_sim_flight_free_all(sim);
  kad_sim_link_deinit(sim);
  kad_array_free(&network->allocator, &sim->hostiles, &sim->hostile_cap,
                 sizeof(void *));
  kad_map_deinit(&sim->sockets);
  kad_network_free_names(network);
  kad_network_free_requests(network);
  kad_network_deinit(network);
  const struct kad_allocator allocator = network->allocator;
  kad_release(&allocator, sim, sizeof *sim);
}

static const struct kad_network_methods methods = {
    .free = sim_free,
    .open = sim_open,
    .shortest_ms = 1,
    .now = sim_now,
    .random = sim_random,
    .resolve_for = kad_network_resolve_for,
    .is_own = kad_network_is_own,
    .run = sim_run,
    .timeout = sim_timeout,
    .step = sim_step,
    .trace_hash = sim_trace_hash,
    .wall_clock = sim_wall_clock,
    .member_now = kad_sim_clock_member_now,
    .member_wall = kad_sim_clock_member_wall,
    .member_due = kad_sim_clock_member_due,
};

void kad_sim_config_default(struct kad_sim_config *config) {
  if (config == NULL) {
    return;
  }
  *config = (struct kad_sim_config){
      .seed = 1,
      .latency_min_ms = 10,
      .latency_max_ms = 100,
      .rtt_median_ms = 80,
      .rtt_sigma = 0.6,
      .reorder_ms = 200,
  };
}

/* Each comparison is false for NaN. */
static bool is_share(double share) {
  return share >= 0 && share <= 1;
}

static bool is_valid(const struct kad_sim_config *config) {
  return kad_sim_curve_is_valid(config) && is_share(config->loss) &&
         is_share(config->duplicate) && is_share(config->reorder) &&
         config->reorder_ms > 0;
}

static void init(struct kad_sim *sim, const struct kad_sim_config *config) {
  sim->base.simulated = true;
  sim->config = *config;
  sim->config.quantiles = NULL;
  sim->config.quantile_count = 0;
  sim->now = FIRST_MS;
  sim->next_port = KAD_SIM_SOCKETS_FIRST_PORT;
  kad_random_init(&sim->user, config->seed, STREAM_USER);
  kad_wheel_init(&sim->flights, &sim->base.allocator);
  kad_map_init(&sim->sockets, &sim->base.allocator, NULL);
}

int kad_network_sim_new(const struct kad_sim_config *config,
                        struct kad_allocator allocator,
                        struct kad_network **network) {
  if (config == NULL || network == NULL || allocator.resize == NULL) {
    return KAD_EINVAL;
  }
  if (!is_valid(config)) {
    return KAD_EINVAL;
  }
  struct kad_sim *sim = kad_alloc_zero(&allocator, sizeof *sim);
  if (sim == NULL) {
    return KAD_ENOMEM;
  }
  kad_network_init(&sim->base, &methods, &allocator);
  init(sim, config);
  const int error = kad_sim_link_init(sim, config);
  if (error < 0) {
    sim_free(&sim->base);
    return error;
  }
  *network = &sim->base;
  return 0;
}

#include "base/allocator.h"
#include "base/time.h"
#include "sim/nat.h"

#include <string.h>

enum {
  FIRST_MS = KAD_MS_PER_S, /* the clock begins here: 0 is never, to some */
  FIRST_FREE_PORT = 49152, /* RFC 6335 §6: dynamic ports */
  STREAM_USER = 1,         /* numbers of the seed's streams */
  STREAM_MEMBERS = 2
};

/* 2020-01-01, when the virtual clock stands at 0. */
static const int64_t wall_epoch = 1577836800;

/* No stranger chooses the addresses, so the hash needs no secret. */
uint64_t kad_sim_hash(const struct kad_address *address) {
  uint64_t halves[2];
  memcpy(halves, address->ip, sizeof halves);
  const uint64_t rest = (uint64_t)address->family << 16 | address->port;
  return kad_sim_mix(kad_sim_mix(halves[0] + rest) + halves[1]);
}

struct kad_sim_socket *kad_sim_find(const struct kad_sim *sim,
                                    const struct kad_address *address,
                                    uint64_t hash) {
  struct kad_map_entry *entry = kad_map_first(&sim->sockets, hash);
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct kad_sim_socket *socket =
        kad_container_of(entry, struct kad_sim_socket, entry);
    if (kad_address_equal(&socket->address, address)) {
      return socket;
    }
  }
  return NULL;
}

static void sim_send(void *state, const struct kad_address *to,
                     struct kad_slice datagram) {
  struct kad_sim_member *member = state;
  const int i = kad_member_source(&member->base, to);
  const bool awake = member->extra == NULL || !member->extra->asleep;
  if (i >= 0 && awake && !member->base.leaving &&
      datagram.len <= KAD_NETWORK_DATAGRAM_MAX) {
    kad_sim_transmit(member, i, to, datagram);
  }
}

static void deliver_due(struct kad_sim *sim) {
  while (!sim->base.stopped) {
    struct kad_deadline *due = kad_wheel_pop_due(&sim->flights, sim->now);
    if (due == NULL) {
      return;
    }
    struct kad_sim_flight *flight =
        kad_container_of(due, struct kad_sim_flight, arrival);
    kad_sim_arrive(sim, flight);
  }
}

static kad_time_ms next_event(struct kad_sim *sim) {
  kad_network_settle(&sim->base);
  const kad_time_ms own = kad_network_next(&sim->base);
  const kad_time_ms arrival = kad_wheel_next(&sim->flights);
  return own < arrival ? own : arrival;
}

/* Does all there is to do at the moment of the next event, if that is not after
 * `end`. Returns false when there is none. */
static bool turn(struct kad_sim *sim, kad_time_ms end) {
  const kad_time_ms next = next_event(sim);
  if (next == KAD_TIME_NEVER || next > end) {
    return false;
  }
  if (next > sim->now) {
    sim->now = next;
  }
  sim->base.turn++;
  kad_network_fire_due(&sim->base, sim->now);
  deliver_due(sim);
  kad_network_settle(&sim->base);
  kad_network_tick_due(&sim->base, sim->now);
  return true;
}

static void sim_run(struct kad_network *network, kad_time_ms duration_ms) {
  struct kad_sim *sim = kad_sim_of(network);
  const kad_time_ms end = kad_time_add(sim->now, duration_ms);
  while (!network->stopped && turn(sim, end)) {
  }
  if (!network->stopped && end != KAD_TIME_NEVER) {
    sim->now = end;
  }
}

static void sim_step(struct kad_network *network) {
  (void)turn(kad_sim_of(network), KAD_TIME_NEVER);
}

/* sim_run looks at `stopped`, which is set already. */
static void sim_stop(struct kad_network *network) {
  (void)network;
}

static int sim_fd(const struct kad_network *network) {
  (void)network;
  return -1;
}

static int sim_timeout(const struct kad_network *network) {
  return next_event(kad_sim_of(network)) == KAD_TIME_NEVER ? -1 : 0;
}

static kad_time_ms sim_now(struct kad_network *network) {
  return kad_sim_of(network)->now;
}

int64_t kad_sim_wall(const struct kad_sim *sim) {
  return wall_epoch + (int64_t)(sim->now / KAD_MS_PER_S);
}

static int64_t sim_wall_clock(const struct kad_network *network) {
  return kad_sim_wall(kad_sim_of(network));
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

bool kad_sim_choose_port(struct kad_sim *sim, struct kad_address *address) {
  for (unsigned i = FIRST_FREE_PORT; i <= UINT16_MAX; i++) {
    address->port = sim->next_port;
    sim->next_port = sim->next_port < UINT16_MAX
                         ? (uint16_t)(sim->next_port + 1)
                         : FIRST_FREE_PORT;
    if (kad_sim_find(sim, address, kad_sim_hash(address)) == NULL) {
      return true;
    }
  }
  return false;
}

static int bind_address(struct kad_sim *sim, struct kad_sim_member *member,
                        const struct kad_address *listen) {
  const size_t i = member->base.address_count;
  struct kad_sim_socket *socket = &member->sockets[i];
  socket->member = member;
  socket->address = *listen;
  const bool is_free =
      listen->port != 0
          ? kad_sim_find(sim, listen, kad_sim_hash(listen)) == NULL
          : kad_sim_choose_port(sim, &socket->address);
  if (!is_free) {
    return KAD_EADDRINUSE;
  }
  socket->address.via = 0;
  member->base.addresses[i] = socket->address;
  socket->address.via = (uint8_t)(i + 1);
  const int error = kad_map_add(&sim->sockets, &socket->entry,
                                kad_sim_hash(&socket->address));
  if (error < 0) {
    return error;
  }
  member->base.address_count++;
  return 0;
}

void kad_sim_hide(struct kad_sim_member *member) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  for (size_t i = 0; i < member->base.address_count; i++) {
    kad_sim_take_out(sim, &member->sockets[i]);
  }
}

void kad_sim_unbind(struct kad_sim_member *member) {
  if (member->extra != NULL && member->extra->nat != NULL) {
    kad_nat_forget(member->extra->nat);
  } else {
    kad_sim_hide(member);
  }
  member->base.address_count = 0;
}

int kad_sim_bind(struct kad_sim_member *member,
                 const struct kad_address *listen, size_t count) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  for (size_t i = 0; i < count; i++) {
    const int error = bind_address(sim, member, &listen[i]);
    if (error < 0) {
      kad_sim_hide(member);
      member->base.address_count = 0;
      return error;
    }
  }
  if (member->extra != NULL && member->extra->nat != NULL) {
    kad_sim_hide(member);
  }
  return 0;
}

static void sim_unbind(struct kad_member *base) {
  kad_sim_unbind(kad_sim_member_of(base));
}

/* Most nodes have one socket. */
static size_t member_size(size_t count) {
  return sizeof(struct kad_sim_member) + count * sizeof(struct kad_sim_socket);
}

static void sim_release(struct kad_member *base) {
  struct kad_sim_member *member = kad_sim_member_of(base);
  kad_sim_extra_free(member);
  kad_release(&base->network->allocator, member,
              member_size(member->socket_cap));
}

static const struct kad_member_methods member_methods = {
    .unbind = sim_unbind,
    .release = sim_release,
    .random = sim_member_random,
    .send = sim_send,
};

bool kad_sim_has_sockets(const struct kad_member *member) {
  return member->methods == &member_methods;
}

/* Gives a new member the bandwidth of all. */
static int limit(const struct kad_sim *sim, struct kad_sim_member *member) {
  struct kad_sim_extra *extra = kad_sim_extra_of(member);
  if (extra == NULL) {
    kad_sim_unbind(member);
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
  opened->socket_cap = count;
  int error = kad_sim_bind(opened, listen, count);
  if (error == 0 && sim->config.bandwidth > 0) {
    error = limit(sim, opened);
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
  kad_sim_link_deinit(sim);
  kad_map_deinit(&sim->sockets);
  kad_network_free_names(network);
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
    .run = sim_run,
    .stop = sim_stop,
    .fd = sim_fd,
    .timeout = sim_timeout,
    .step = sim_step,
    .trace_hash = sim_trace_hash,
    .wall_clock = sim_wall_clock,
    .member_now = kad_sim_member_now,
    .member_wall = kad_sim_member_wall,
    .member_due = kad_sim_due,
};

struct kad_sim *kad_sim_checked(const struct kad_network *network) {
  return network->methods == &methods ? kad_sim_of(network) : NULL;
}

void kad_sim_config_default(struct kad_sim_config *config) {
  *config = (struct kad_sim_config){
      .seed = 1,
      .latency_min_ms = 10,
      .latency_max_ms = 100,
      .rtt_median_ms = 80,
      .rtt_sigma = 0.6,
      .reorder_ms = 200,
  };
}

/* Written so that what is no number fails too. */
static bool is_share(double share) {
  return share >= 0 && share <= 1;
}

static bool is_valid(const struct kad_sim_config *config) {
  return kad_sim_curve_is_valid(config) && is_share(config->loss) &&
         is_share(config->duplicate) && is_share(config->reorder) &&
         config->reorder_ms > 0;
}

static void begin(struct kad_sim *sim, const struct kad_sim_config *config) {
  sim->config = *config;
  sim->config.quantiles = NULL;
  sim->config.quantile_count = 0;
  sim->now = FIRST_MS;
  sim->next_port = FIRST_FREE_PORT;
  kad_random_init(&sim->user, config->seed, STREAM_USER);
  /* The hash of the addresses is our own: there is no use for a secret. */
  const uint8_t secret[KAD_MAP_SECRET_SIZE] = {0};
  kad_map_init(&sim->sockets, &sim->base.allocator, secret);
}

int kad_network_sim_new(const struct kad_sim_config *config,
                        struct kad_allocator allocator,
                        struct kad_network **network) {
  if (!is_valid(config)) {
    return KAD_EINVAL;
  }
  struct kad_sim *sim = kad_alloc_zero(&allocator, sizeof *sim);
  if (sim == NULL) {
    return KAD_ENOMEM;
  }
  kad_network_init(&sim->base, &methods, &allocator);
  begin(sim, config);
  const int error = kad_sim_link_init(sim, config);
  if (error < 0) {
    sim_free(&sim->base);
    return error;
  }
  *network = &sim->base;
  return 0;
}

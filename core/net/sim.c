#include "base/allocator.h"
#include "base/time.h"
#include "net/network.h"
#include "net/random.h"
#include "net/trace.h"

#include <string.h>

enum {
  FIRST_MS = KAD_MS_PER_S, /* the clock begins here: 0 is never, to some */
  SMALL_SIZE = 256,        /* bytes: most queries and replies fit in */
  FIRST_FREE_PORT = 49152, /* RFC 6335 §6: dynamic ports */
  STREAM_LINKS = 0,        /* numbers of the seed's streams */
  STREAM_USER = 1,
  STREAM_MEMBERS = 2
};

/* 2020-01-01, when the virtual clock stands at 0. */
static const int64_t wall_epoch = 1577836800;

/* A datagram on its way. */
struct flight {
  struct kad_deadline arrival;
  struct flight *next_free;
  struct kad_address from;
  struct kad_address to;
  size_t cap; /* bytes of room: SMALL_SIZE or KAD_NETWORK_DATAGRAM_MAX */
  size_t len;
  uint8_t bytes[];
};

struct sim_member;

/* An address of a member, in the table of all addresses. */
struct sim_socket {
  struct kad_map_entry entry;
  struct kad_address address; /* via is the index + 1 */
  struct sim_member *member;
};

struct sim_member {
  struct kad_member base;
  struct kad_random random;
  struct sim_socket sockets[KAD_MEMBER_ADDRESSES];
};

struct sim {
  struct kad_network base;
  struct kad_sim_config config;
  kad_time_ms now;
  struct kad_heap flights;
  struct flight *free_small;
  struct flight *free_large;
  struct kad_map sockets;
  struct kad_random links; /* decides loss and latency */
  struct kad_random user;
  uint64_t next_stream; /* of the next member */
  uint16_t next_port;
  struct kad_trace trace;
};

static struct sim *sim_of(const struct kad_network *base) {
  return kad_container_of(base, struct sim, base);
}

static struct sim_member *member_of(struct kad_member *base) {
  return kad_container_of(base, struct sim_member, base);
}

static uint64_t hash_address(const struct sim *sim,
                             const struct kad_address *address) {
  struct kad_address plain = *address;
  plain.via = 0;
  return kad_map_hash(&sim->sockets, &plain, sizeof plain);
}

static struct sim_socket *find_socket(const struct sim *sim,
                                      const struct kad_address *address) {
  struct kad_map_entry *entry =
      kad_map_first(&sim->sockets, hash_address(sim, address));
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct sim_socket *socket =
        kad_container_of(entry, struct sim_socket, entry);
    if (kad_address_equal(&socket->address, address)) {
      return socket;
    }
  }
  return NULL;
}

static struct flight **free_list(struct sim *sim, size_t cap) {
  return cap == SMALL_SIZE ? &sim->free_small : &sim->free_large;
}

static struct flight *take_flight(struct sim *sim, size_t len) {
  const size_t cap = len <= SMALL_SIZE ? SMALL_SIZE : KAD_NETWORK_DATAGRAM_MAX;
  struct flight **list = free_list(sim, cap);
  struct flight *flight = *list;
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

static void give_flight_back(struct sim *sim, struct flight *flight) {
  struct flight **list = free_list(sim, flight->cap);
  flight->next_free = *list;
  *list = flight;
}

static void free_flights(struct sim *sim, struct flight *list) {
  while (list != NULL) {
    struct flight *flight = list;
    list = flight->next_free;
    kad_release(&sim->base.allocator, flight, sizeof *flight + flight->cap);
  }
}

/* Draws whether a datagram is lost and how long it takes. Both are drawn for
 * every one, so that another loss rate changes nothing else about the run. */
static bool draw_fate(struct sim *sim, kad_time_ms *latency_ms) {
  const uint64_t for_loss = kad_random_next(&sim->links);
  const uint64_t for_latency = kad_random_next(&sim->links);
  const uint64_t span =
      (uint64_t)sim->config.latency_max_ms - sim->config.latency_min_ms + 1;
  *latency_ms = sim->config.latency_min_ms + for_latency % span;
  /* What arrives at once could be answered at once, for ever. */
  if (*latency_ms == 0) {
    *latency_ms = 1;
  }
  const double share = (double)(for_loss >> 11) / 9007199254740992.0;
  return share >= sim->config.loss;
}

static void sim_send(void *state, const struct kad_address *to,
                     struct kad_slice datagram) {
  struct sim_member *member = state;
  struct sim *sim = sim_of(member->base.network);
  const int i = kad_member_way(&member->base, to);
  kad_time_ms latency_ms = 0;
  if (i < 0 || member->base.leaving ||
      datagram.len > KAD_NETWORK_DATAGRAM_MAX || !draw_fate(sim, &latency_ms)) {
    return;
  }
  struct flight *flight = take_flight(sim, datagram.len);
  if (flight == NULL) {
    return;
  }
  flight->from = member->base.addresses[i];
  flight->to = *to;
  flight->len = datagram.len;
  if (datagram.len > 0) {
    memcpy(flight->bytes, datagram.data, datagram.len);
  }
  kad_heap_add(&sim->flights, &flight->arrival,
               kad_time_add(sim->now, latency_ms));
}

static void deliver(struct sim *sim, struct flight *flight) {
  const struct sim_socket *socket = find_socket(sim, &flight->to);
  if (socket == NULL) {
    return;
  }
  const struct kad_slice datagram = {flight->bytes, flight->len};
  kad_trace_add(&sim->trace, sim->now, &flight->from, &flight->to, datagram);
  flight->from.via = socket->address.via;
  kad_member_receive(&socket->member->base, &flight->from, datagram);
}

static void deliver_due(struct sim *sim) {
  while (!sim->base.stopped) {
    struct kad_deadline *due = kad_heap_pop_due(&sim->flights, sim->now);
    if (due == NULL) {
      return;
    }
    struct flight *flight = kad_container_of(due, struct flight, arrival);
    deliver(sim, flight);
    give_flight_back(sim, flight);
  }
}

static kad_time_ms next_event(struct sim *sim) {
  kad_network_settle(&sim->base);
  const kad_time_ms own = kad_network_next(&sim->base);
  const kad_time_ms arrival = kad_heap_next(&sim->flights);
  return own < arrival ? own : arrival;
}

/* Does all there is to do at the moment of the next event, if that is not after
 * `end`. Returns false when there is none. */
static bool turn(struct sim *sim, kad_time_ms end) {
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
  struct sim *sim = sim_of(network);
  const kad_time_ms end = kad_time_add(sim->now, duration_ms);
  while (!network->stopped && turn(sim, end)) {
  }
  if (!network->stopped && end != KAD_TIME_NEVER) {
    sim->now = end;
  }
}

static void sim_step(struct kad_network *network) {
  (void)turn(sim_of(network), KAD_TIME_NEVER);
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
  return next_event(sim_of(network)) == KAD_TIME_NEVER ? -1 : 0;
}

static kad_time_ms sim_now(struct kad_network *network) {
  return sim_of(network)->now;
}

static int64_t sim_wall_clock(const struct kad_network *network) {
  return wall_epoch + (int64_t)(sim_of(network)->now / KAD_MS_PER_S);
}

static void sim_random(struct kad_network *network, uint8_t *out, size_t len) {
  kad_random_fill(&sim_of(network)->user, out, len);
}

static void sim_member_random(void *state, uint8_t *out, size_t len) {
  struct sim_member *member = state;
  kad_random_fill(&member->random, out, len);
}

static uint64_t sim_trace_hash(const struct kad_network *network) {
  return sim_of(network)->trace.hash;
}

/* Gives `address` a port that is free with its ip. Returns false if all are
 * taken. */
static bool choose_port(struct sim *sim, struct kad_address *address) {
  for (unsigned i = FIRST_FREE_PORT; i <= UINT16_MAX; i++) {
    address->port = sim->next_port;
    sim->next_port = sim->next_port < UINT16_MAX
                         ? (uint16_t)(sim->next_port + 1)
                         : FIRST_FREE_PORT;
    if (find_socket(sim, address) == NULL) {
      return true;
    }
  }
  return false;
}

static int bind_address(struct sim *sim, struct sim_member *member,
                        const struct kad_address *listen) {
  const size_t i = member->base.address_count;
  struct sim_socket *socket = &member->sockets[i];
  socket->member = member;
  socket->address = *listen;
  const bool is_free = listen->port != 0 ? find_socket(sim, listen) == NULL
                                         : choose_port(sim, &socket->address);
  if (!is_free) {
    return KAD_EADDRINUSE;
  }
  socket->address.via = 0;
  member->base.addresses[i] = socket->address;
  socket->address.via = (uint8_t)(i + 1);
  const int error = kad_map_add(&sim->sockets, &socket->entry,
                                hash_address(sim, &socket->address));
  if (error < 0) {
    return error;
  }
  member->base.address_count++;
  return 0;
}

static void sim_unbind(struct kad_member *base) {
  struct sim *sim = sim_of(base->network);
  struct sim_member *member = member_of(base);
  for (size_t i = 0; i < base->address_count; i++) {
    kad_map_remove(&sim->sockets, &member->sockets[i].entry);
  }
}

static void sim_release(struct kad_member *base) {
  struct sim_member *member = member_of(base);
  kad_release(&base->network->allocator, member, sizeof *member);
}

static int sim_open(struct kad_network *network,
                    const struct kad_address *listen, size_t count,
                    struct kad_member **member) {
  struct sim *sim = sim_of(network);
  struct sim_member *opened =
      kad_alloc_zero(&network->allocator, sizeof *opened);
  if (opened == NULL) {
    return KAD_ENOMEM;
  }
  opened->base.network = network;
  for (size_t i = 0; i < count; i++) {
    const int error = bind_address(sim, opened, &listen[i]);
    if (error < 0) {
      sim_unbind(&opened->base);
      sim_release(&opened->base);
      return error;
    }
  }
  kad_random_init(&opened->random, sim->config.seed, sim->next_stream++);
  *member = &opened->base;
  return 0;
}

static void sim_free(struct kad_network *network) {
  struct sim *sim = sim_of(network);
  struct kad_deadline *due = NULL;
  while ((due = kad_heap_pop_due(&sim->flights, KAD_TIME_NEVER)) != NULL) {
    give_flight_back(sim, kad_container_of(due, struct flight, arrival));
  }
  free_flights(sim, sim->free_small);
  free_flights(sim, sim->free_large);
  kad_map_deinit(&sim->sockets);
  kad_network_deinit(network);
  const struct kad_allocator allocator = network->allocator;
  kad_release(&allocator, sim, sizeof *sim);
}

static const struct kad_network_methods methods = {
    .free = sim_free,
    .open = sim_open,
    .unbind = sim_unbind,
    .release = sim_release,
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
    .member_random = sim_member_random,
    .send = sim_send,
};

void kad_sim_config_default(struct kad_sim_config *config) {
  *config = (struct kad_sim_config){
      .seed = 1,
      .latency_min_ms = 10,
      .latency_max_ms = 100,
  };
}

int kad_network_sim_new(const struct kad_sim_config *config,
                        struct kad_allocator allocator,
                        struct kad_network **network) {
  /* Written so that a loss that is no number fails too. */
  const bool is_loss_valid = config->loss >= 0 && config->loss <= 1;
  if (!is_loss_valid || config->latency_min_ms > config->latency_max_ms) {
    return KAD_EINVAL;
  }
  struct sim *sim = kad_alloc_zero(&allocator, sizeof *sim);
  if (sim == NULL) {
    return KAD_ENOMEM;
  }
  kad_network_init(&sim->base, &methods, &allocator);
  sim->config = *config;
  sim->now = FIRST_MS;
  sim->next_stream = STREAM_MEMBERS;
  sim->next_port = FIRST_FREE_PORT;
  kad_random_init(&sim->links, config->seed, STREAM_LINKS);
  kad_random_init(&sim->user, config->seed, STREAM_USER);
  /* The secret decides nothing but chains of the table; the run is the same
   * with any. */
  const uint8_t secret[KAD_MAP_SECRET_SIZE] = {0};
  kad_map_init(&sim->sockets, &allocator, secret);
  *network = &sim->base;
  return 0;
}

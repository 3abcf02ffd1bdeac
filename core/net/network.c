#include "net/network.h"

#include "base/time.h"
#include "engine/node.h"
#include "kadenza_inherited.h"
#include "kadenza_sim.h"
#include "membership/own_id.h"

#include <assert.h>
#include <string.h>

static uint64_t hash_node(const struct kad_network *network,
                          const struct kad_node *node) {
  return kad_map_hash(&network->by_node, &node, sizeof(const void *));
}

struct kad_member *kad_network_find_member(const struct kad_network *network,
                                           const struct kad_node *node) {
  const uint64_t hash = hash_node(network, node);
  struct kad_map_entry *entry = kad_map_first(&network->by_node, hash);
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct kad_member *member =
        kad_container_of(entry, struct kad_member, entry);
    if (member->node == node) {
      return member;
    }
  }
  return NULL;
}

/* Takes `member` out of all lists and adds it to the leavers. */
static void close_member(struct kad_network *network,
                         struct kad_member *member) {
  kad_member_unlink(&network->members, member);
  kad_member_clear_dirty(&network->dirty, member);
  kad_wheel_remove(&network->deadlines, &member->deadline);
  kad_map_remove(&network->by_node, &member->entry);
  member->leaving = true;
  kad_node_begin_close(member->node);
  member->methods->unbind(member);
  member->next = network->leavers;
  network->leavers = member;
}

/* A callback of a node that ends may close others, which join the list. */
static void free_leavers(struct kad_network *network) {
  while (network->leavers != NULL) {
    struct kad_member *member = network->leavers;
    network->leavers = member->next;
    network->depth++;
    kad_node_free(member->node);
    network->depth--;
    member->methods->release(member);
  }
}

void kad_network_leave(struct kad_network *network) {
  assert(network->depth > 0);
  network->depth--;
  if (network->depth == 0 && network->leavers != NULL) {
    free_leavers(network);
  }
}

void kad_network_init(struct kad_network *network,
                      const struct kad_network_methods *methods,
                      const struct kad_allocator *allocator) {
  *network = (struct kad_network){
      .methods = methods,
      .allocator = *allocator,
  };
  kad_user_timers_init(&network->timers, allocator);
  kad_wheel_init(&network->deadlines, allocator);
  kad_map_init(&network->by_node, allocator, NULL);
}

void kad_network_deinit(struct kad_network *network) {
  kad_user_timers_deinit(&network->timers);
  kad_wheel_deinit(&network->deadlines);
  kad_map_deinit(&network->by_node);
}

void kad_network_free(struct kad_network *network) {
  if (network == NULL) {
    return;
  }
  assert(network->depth == 0);
  network->freeing = true;
  while (network->members != NULL) {
    kad_network_close_node(network, network->members->node);
  }
  free_leavers(network); /* those that a transport closed in the last turn */
  network->methods->free(network);
}

static void refresh(struct kad_network *network) {
  if (network->methods->refresh != NULL) {
    network->methods->refresh(network);
  }
}

/* Within a turn the clock of nodes stands still, which saves a system call for
 * each datagram. Between turns much time may have passed. */
static kad_time_ms member_now(void *state) {
  struct kad_member *member = state;
  struct kad_network *network = member->network;
  kad_member_mark_dirty(&network->dirty, member);
  if (network->depth == 0) {
    refresh(network);
  }
  return member->own_clock ? network->methods->member_now(member)
                           : network->methods->now(network);
}

static int64_t member_wall_clock(void *state) {
  const struct kad_member *member = state;
  return member->own_clock ? member->network->methods->member_wall(member)
                           : kad_network_wall_clock(member->network);
}

static int member_find_route(void *state, const struct kad_address *to) {
  struct kad_member *member = state;
  return member->methods->find_route != NULL
             ? member->methods->find_route(member, to)
             : 0;
}

static int add_families(struct kad_node *node,
                        const struct kad_member *member) {
  int error = 0;
  for (size_t i = 0; i < member->address_count && error == 0; i++) {
    error = kad_node_add_family(node, member->addresses[i].family);
  }
  return error;
}

static int make_node(struct kad_member *member,
                     const struct kad_config *config) {
  struct kad_network *network = member->network;
  const struct kad_env env = {
      .state = member,
      .now = member_now,
      .wall_clock = member_wall_clock,
      .random = member->methods->random,
      .send = member->methods->send,
      .allocator = network->allocator,
      .resolve = network->methods->resolve_for,
      .is_own = network->methods->is_own,
      .find_route = member_find_route,
      .turn_us = network->methods->turn_us,
  };
  struct kad_node *node = NULL;
  member->number = ++network->last_number;
  int error = kad_node_new(config, &env, &node);
  if (error < 0) {
    return error;
  }
  kad_own_id_bind(node, member->addresses, member->address_count);
  error = add_families(node, member);
  if (error == 0) {
    error = kad_map_add(&network->by_node, &member->entry,
                        hash_node(network, node));
  }
  if (error < 0) {
    node->is_opened = false; /* its store stays the caller's */
    kad_node_free(node);
    return error;
  }
  member->node = node;
  return 0;
}

bool kad_network_takes_addresses(const struct kad_address *addresses,
                                 size_t count) {
  if (count < 1 || count > KAD_MEMBER_ADDRESSES) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (addresses[i].family != 4 && addresses[i].family != 6) {
      return false;
    }
  }
  return true;
}

int kad_network_add_member(struct kad_network *network,
                           struct kad_member *member,
                           const struct kad_config *config,
                           struct kad_node **node) {
  int error = make_node(member, config);
  if (error < 0) {
    member->leaving = true;
    member->methods->unbind(member);
    member->methods->release(member);
    return error;
  }
  kad_member_link(&network->members, member);
  kad_member_mark_dirty(&network->dirty, member);
  *node = member->node;
  return 0;
}

int kad_network_open_node(struct kad_network *network,
                          const struct kad_config *config,
                          const struct kad_address *listen, size_t count,
                          struct kad_node **node) {
  if (network == NULL || config == NULL || listen == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  if (!kad_network_takes_addresses(listen, count)) {
    return KAD_EINVAL;
  }
  if (network->freeing) {
    return KAD_ECLOSED;
  }
  network->failure = (struct kad_system_failure){0};
  struct kad_member *member = NULL;
  int error = network->methods->open(network, listen, count, &member);
  return error < 0 ? error
                   : kad_network_add_member(network, member, config, node);
}

static bool are_different(const int *sockets, size_t count) {
  for (size_t i = 1; i < count; i++) {
    for (size_t j = 0; j < i; j++) {
      if (sockets[i] == sockets[j]) {
        return false;
      }
    }
  }
  return true;
}

int kad_network_open_on_sockets(struct kad_network *network,
                                const struct kad_config *config,
                                const int *sockets, size_t count,
                                struct kad_node **node) {
  if (network == NULL || config == NULL || sockets == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  if (network->methods->adopt == NULL || count < 1 ||
      count > KAD_MEMBER_ADDRESSES || !are_different(sockets, count)) {
    return KAD_EINVAL;
  }
  if (network->freeing) {
    return KAD_ECLOSED;
  }
  network->failure = (struct kad_system_failure){0};
  struct kad_member *member = NULL;
  const int error = network->methods->adopt(network, sockets, count, &member);
  return error < 0 ? error
                   : kad_network_add_member(network, member, config, node);
}

struct kad_system_failure kad_network_failure(
    const struct kad_network *network) {
  if (network == NULL) {
    return (struct kad_system_failure){0};
  }
  return network->failure;
}

void kad_network_close_node(struct kad_network *network,
                            struct kad_node *node) {
  if (network == NULL || node == NULL) {
    return;
  }
  struct kad_member *member = kad_network_find_member(network, node);
  if (member == NULL) {
    return;
  }
  kad_network_enter(network);
  close_member(network, member);
  kad_network_leave(network);
}

void kad_network_deliver(struct kad_member *member,
                         const struct kad_address *from,
                         struct kad_slice datagram) {
  struct kad_network *network = member->network;
  kad_member_mark_dirty(&network->dirty, member);
  kad_network_enter(network);
  kad_node_receive(member->node, from, datagram);
  kad_network_leave(network);
}

size_t kad_network_addresses(const struct kad_network *network,
                             const struct kad_node *node,
                             struct kad_address *out, size_t cap) {
  if (network == NULL || node == NULL || (out == NULL && cap > 0)) {
    return 0;
  }
  const struct kad_member *member = kad_network_find_member(network, node);
  if (member == NULL) {
    return 0;
  }
  const size_t copied =
      cap < member->address_count ? cap : member->address_count;
  if (copied > 0) {
    memcpy(out, member->addresses, copied * sizeof *out);
  }
  return member->address_count;
}

int kad_network_socket_stats(const struct kad_network *network,
                             const struct kad_node *node,
                             struct kad_socket_stats *stats,
                             struct kad_send_failure *failure) {
  if (network == NULL || node == NULL || stats == NULL) {
    return KAD_EINVAL;
  }
  const struct kad_member *member = kad_network_find_member(network, node);
  struct kad_send_failure latest = {0};
  if (member == NULL) {
    return KAD_EINVAL;
  }
  *stats = (struct kad_socket_stats){0};
  if (member->methods->stats != NULL) {
    member->methods->stats(member, stats, &latest);
  }
  if (failure != NULL) {
    *failure = latest;
  }
  return 0;
}

uint64_t kad_network_turn(const struct kad_network *network) {
  if (network == NULL) {
    return 0;
  }
  return network->turn;
}

kad_time_ms kad_network_now(const struct kad_network *network) {
  if (network == NULL) {
    return 0;
  }
  /* Only the network reads its cached time. */
  struct kad_network *changed = (struct kad_network *)network;
  refresh(changed);
  return network->methods->now(changed);
}

kad_time_ms kad_network_node_now(const struct kad_network *network,
                                 const struct kad_node *node) {
  if (network == NULL) {
    return 0;
  }
  struct kad_member *member = kad_network_find_member(network, node);
  return member != NULL && member->own_clock
             ? network->methods->member_now(member)
             : kad_network_now(network);
}

int64_t kad_network_wall_clock(const struct kad_network *network) {
  if (network == NULL) {
    return 0;
  }
  return network->methods->wall_clock(network);
}

void kad_network_random(struct kad_network *network, uint8_t *out, size_t len) {
  if (network == NULL || (out == NULL && len > 0)) {
    return;
  }
  network->methods->random(network, out, len);
}

int kad_network_start_timer(struct kad_network *network, kad_time_ms delay_ms,
                            void (*fire)(void *data), void *data,
                            kad_timer_id *timer) {
  if (network == NULL || fire == NULL) {
    return KAD_EINVAL;
  }
  const kad_time_ms shortest_ms = network->methods->shortest_ms;
  const kad_time_ms at =
      kad_time_add(kad_network_now(network),
                   delay_ms > shortest_ms ? delay_ms : shortest_ms);
  return kad_user_timers_start(&network->timers, at, fire, data, timer);
}

int kad_network_stop_timer(struct kad_network *network, kad_timer_id timer) {
  if (network == NULL) {
    return KAD_EINVAL;
  }
  return kad_user_timers_stop(&network->timers, timer);
}

int kad_network_on_signal(struct kad_network *network, int number,
                          void (*fire)(void *data), void *data) {
  if (network == NULL || fire == NULL) {
    return KAD_EINVAL;
  }
  return network->methods->on_signal != NULL
             ? network->methods->on_signal(network, number, fire, data)
             : KAD_EINVAL;
}

int kad_network_watch(struct kad_network *network, int fd, unsigned events,
                      void (*ready)(void *data, unsigned events), void *data,
                      struct kad_watch **watch) {
  if (network == NULL || ready == NULL || watch == NULL ||
      network->methods->watch == NULL) {
    return KAD_EINVAL;
  }
  return network->methods->watch(network, fd, events, ready, data, watch);
}

/* Returns false from a callback, where it would be a loop inside a loop. */
static bool begin_running(struct kad_network *network) {
  if (network->running || network->depth > 0) {
    return false;
  }
  network->running = true;
  network->stopped = false;
  return true;
}

void kad_network_run(struct kad_network *network, kad_time_ms duration_ms) {
  if (network == NULL) {
    return;
  }
  if (begin_running(network)) {
    network->methods->run(network, duration_ms);
    network->running = false;
  }
}

void kad_network_step(struct kad_network *network) {
  if (network == NULL) {
    return;
  }
  if (begin_running(network)) {
    network->methods->step(network);
    network->running = false;
  }
}

void kad_network_stop(struct kad_network *network) {
  if (network == NULL) {
    return;
  }
  if (network->running) {
    network->stopped = true;
    if (network->methods->stop != NULL) {
      network->methods->stop(network);
    }
  }
}

int kad_network_fd(const struct kad_network *network) {
  if (network == NULL) {
    return -1;
  }
  return network->methods->fd != NULL ? network->methods->fd(network) : -1;
}

int kad_network_timeout(const struct kad_network *network) {
  if (network == NULL) {
    return -1;
  }
  return network->methods->timeout(network);
}

uint64_t kad_network_trace_hash(const struct kad_network *network) {
  if (network == NULL) {
    return 0;
  }
  return network->methods->trace_hash != NULL
             ? network->methods->trace_hash(network)
             : 0;
}

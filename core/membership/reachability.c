#include "membership/reachability.h"

#include "base/address.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"

enum {
  SAME_PORT_SHARE = 4, /* a symmetric NAT: no port has more than a quarter */
  WAIT_PERIODS = 2     /* of ping_s, before a contact is checked */
};

static struct kad_reachability_state *state_of(struct kad_node *node,
                                               unsigned family) {
  return &node->reachability[kad_family_index(family)];
}

static bool is_automatic(const struct kad_node *node) {
  return node->config.read_only == KAD_READ_ONLY_AUTO &&
         !node->config.allow_local;
}

static uint32_t hash_subnet(const struct kad_node *node,
                            const struct kad_address *address) {
  return (uint32_t)kad_map_hash(&node->storing, address->ip,
                                kad_address_subnet_size(address));
}

static void begin_window(struct kad_reachability_state *state,
                         kad_time_ms now) {
  state->window_at = now;
  state->answers = 0;
  state->subnet_count = 0;
}

/* Begins again to look for signs that we cannot be reached. */
static void begin_windows(struct kad_reachability_state *state,
                          kad_time_ms now) {
  begin_window(state, now);
  state->windows = 0;
}

/* ---------------------------------------------------------------- ports -- */

static size_t count_port(const struct kad_reachability_state *state,
                         uint16_t port) {
  size_t votes = 0;
  for (size_t i = 0; i < state->port_count; i++) {
    votes += state->ports[i].port == port;
  }
  return votes;
}

/* Returns true if contacts of several subnets see us at different ports. */
static bool is_symmetric(const struct kad_reachability_state *state) {
  size_t most = 0;
  for (size_t i = 0; i < state->port_count; i++) {
    const size_t votes = count_port(state, state->ports[i].port);
    most = votes > most ? votes : most;
  }
  return state->port_count >= KAD_REACHABILITY_SUBNETS &&
         SAME_PORT_SHARE * most <= state->port_count;
}

/* Returns the place of the vote of `subnet`: its former one, a free one, or the
 * oldest. */
static struct kad_port_vote *find_port(struct kad_reachability_state *state,
                                       uint32_t subnet) {
  for (size_t i = 0; i < state->port_count; i++) {
    if (state->ports[i].subnet == subnet) {
      return &state->ports[i];
    }
  }
  if (state->port_count < KAD_REACHABILITY_PORTS) {
    return &state->ports[state->port_count++];
  }
  struct kad_port_vote *oldest = &state->ports[state->next_port];
  state->next_port = (uint8_t)((state->next_port + 1) % KAD_REACHABILITY_PORTS);
  return oldest;
}

void kad_reachability_vote(struct kad_node *node,
                           const struct kad_address *from,
                           const struct kad_address *observed) {
  if (!is_automatic(node) || observed->family != from->family) {
    return;
  }
  const uint32_t subnet = hash_subnet(node, from);
  *find_port(state_of(node, from->family), subnet) =
      (struct kad_port_vote){.subnet = subnet, .port = observed->port};
}

/* -------------------------------------------------------------- changes -- */

static void ask(struct kad_node *node, struct kad_reachability_state *state);

static size_t index_of(const struct kad_node *node,
                       const struct kad_reachability_state *state) {
  return (size_t)(state - node->reachability);
}

static void ask_due(struct kad_node *node, struct kad_timer *timer) {
  ask(node, kad_container_of(timer, struct kad_reachability_state, timer));
}

/* Is read-only until it is time to ask. */
static void rest(struct kad_node *node, struct kad_reachability_state *state) {
  state->read_only = true;
  kad_timer_set(node, &state->timer,
                kad_time_add(kad_node_now(node),
                             kad_rng_jitter(node, KAD_REACHABILITY_REST_MS)),
                ask_due);
}

static void rest_due(struct kad_node *node, struct kad_timer *timer) {
  rest(node, kad_container_of(timer, struct kad_reachability_state, timer));
}

/* Is not read-only for a while, so that others may find us. Our neighbours are
 * the ones that name us. */
static void ask(struct kad_node *node, struct kad_reachability_state *state) {
  const kad_time_ms now = kad_node_now(node);
  state->read_only = false;
  kad_refresh_self_soon(node, index_of(node, state), now);
  kad_timer_set(node, &state->timer, kad_time_add(now, KAD_REACHABILITY_ASK_MS),
                rest_due);
}

static void become_unreachable(struct kad_node *node,
                               struct kad_reachability_state *state) {
  state->state = KAD_REACHABILITY_UNREACHABLE;
  rest(node, state);
  node->events->became_read_only(node);
}

static void become_reachable(struct kad_node *node,
                             struct kad_reachability_state *state) {
  const bool was_unreachable = state->state == KAD_REACHABILITY_UNREACHABLE;
  state->state = KAD_REACHABILITY_REACHABLE;
  state->read_only = false;
  kad_timer_cancel(node, &state->timer);
  if (was_unreachable) {
    kad_refresh_self_soon(node, index_of(node, state), kad_node_now(node));
  }
}

/* ---------------------------------------------------------------- signs -- */

void kad_reachability_queried(struct kad_node *node,
                              const struct kad_address *from) {
  const kad_time_ms now = kad_node_now(node);
  struct kad_reachability_state *state = state_of(node, from->family);
  if (kad_address_filter_has(&node->sent_to, from, now)) {
    return;
  }
  node->stats.unasked++;
  state->unasked_at = now;
  begin_windows(state, now);
  become_reachable(node, state);
}

static void add_subnet(struct kad_reachability_state *state, uint32_t subnet) {
  size_t i = 0;
  while (i < state->subnet_count && state->subnets[i] != subnet) {
    i++;
  }
  if (i == state->subnet_count && i < KAD_REACHABILITY_SUBNETS) {
    state->subnets[state->subnet_count++] = subnet;
  }
}

static uint8_t windows_needed(const struct kad_reachability_state *state) {
  return is_symmetric(state) ? 1 : KAD_REACHABILITY_WINDOWS;
}

static bool is_window_over(const struct kad_reachability_state *state,
                           kad_time_ms now) {
  return state->answers >= KAD_REACHABILITY_ANSWERS &&
         state->subnet_count == KAD_REACHABILITY_SUBNETS &&
         kad_time_since(state->window_at, now) >= KAD_REACHABILITY_WINDOW_MS;
}

void kad_reachability_answered(struct kad_node *node,
                               const struct kad_address *from) {
  const kad_time_ms now = kad_node_now(node);
  struct kad_reachability_state *state = state_of(node, from->family);
  if (!is_automatic(node) || state->state == KAD_REACHABILITY_UNREACHABLE ||
      node->closing) {
    return;
  }
  const kad_time_ms quiet_ms = kad_time_since(state->window_at, now);
  if (state->answers == 0 && quiet_ms > KAD_REACHABILITY_QUIET_MS) {
    /* The node may have been cut off until now. */
    state->window_at = kad_time_since(KAD_REACHABILITY_QUIET_MS, now);
  }
  state->answers =
      (uint8_t)(state->answers + (state->answers < KAD_REACHABILITY_ANSWERS));
  add_subnet(state, hash_subnet(node, from));
  if (!is_window_over(state, now)) {
    return;
  }
  state->windows++;
  begin_window(state, now);
  if (state->windows >= windows_needed(state)) {
    become_unreachable(node, state);
  }
}

bool kad_reachability_waits(const struct kad_node *node, unsigned family,
                            kad_time_ms last_seen) {
  const struct kad_reachability_state *state =
      &node->reachability[kad_family_index(family)];
  const kad_time_ms ping_ms = (kad_time_ms)node->config.ping_s * KAD_MS_PER_S;
  return is_automatic(node) && state->state != KAD_REACHABILITY_UNREACHABLE &&
         state->windows + 1 >= windows_needed(state) &&
         kad_time_since(last_seen, kad_node_now(node)) < WAIT_PERIODS * ping_ms;
}

/* ------------------------------------------------------------ start, end -- */

void kad_reachability_start(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    begin_windows(&node->reachability[i], kad_node_now(node));
  }
}

void kad_reachability_restart(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    struct kad_reachability_state *state = &node->reachability[i];
    begin_windows(state, kad_node_now(node));
    state->port_count = 0;
    state->next_port = 0;
    if (state->state == KAD_REACHABILITY_UNREACHABLE) {
      ask(node, state);
    }
  }
}

void kad_reachability_stop(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    kad_timer_cancel(node, &node->reachability[i].timer);
  }
}

/* ----------------------------------------------------------- for users -- */

const char *kad_reachability_name(enum kad_reachability reachability) {
  switch (reachability) {
#define NAME(code, name)        \
  case KAD_REACHABILITY_##code: \
    return name;
    KAD_REACHABILITY_MAP(NAME)
#undef NAME
  }
  return "unknown";
}

bool kad_node_reachability(const struct kad_node *node, unsigned family,
                           struct kad_reachability_info *info) {
  if (node == NULL || info == NULL || (family != 4 && family != 6) ||
      kad_node_table(node, family) == NULL) {
    return false;
  }
  const struct kad_reachability_state *state =
      &node->reachability[kad_family_index(family)];
  *info = (struct kad_reachability_info){
      .reachability = (enum kad_reachability)state->state,
      .read_only = kad_node_is_read_only(node, family),
      .is_symmetric = is_symmetric(state),
      .unasked_at = state->unasked_at != 0
                        ? kad_node_env_time(node, state->unasked_at)
                        : 0,
  };
  return true;
}

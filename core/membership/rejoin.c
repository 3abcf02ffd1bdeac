#include "membership/rejoin.h"

#include "base/array.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"

static void rejoined(void *data, const struct kad_result *result) {
  struct kad_node *node = data;
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const kad_time_ms after = rejoin->after;
  rejoin->running = false;
  if (result->status == 0 && rejoin->reached) {
    rejoin->after = KAD_REJOIN_MIN_MS;
    return;
  }
  rejoin->after = 2 * after < KAD_REJOIN_MAX_MS ? 2 * after : KAD_REJOIN_MAX_MS;
}

kad_time_ms kad_rejoin_due(const struct kad_node *node) {
  const struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const bool has_reason = node->maintenance.liveness.alone || !rejoin->reached;
  return has_reason && rejoin->asked && rejoin->known_count > 0 &&
                 !rejoin->running
             ? rejoin->at
             : KAD_TIME_NEVER;
}

void kad_rejoin_round(struct kad_node *node) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const kad_time_ms now = kad_node_now(node);
  if (now < kad_rejoin_due(node)) {
    return;
  }
  rejoin->running = kad_node_bootstrap(node, rejoin->known, rejoin->known_count,
                                       rejoined, node, NULL) == 0;
  rejoin->at = kad_time_add(now, kad_rng_jitter(node, rejoin->after));
}

void kad_rejoin_reached(struct kad_node *node) {
  node->maintenance.rejoin.reached = true;
}

void kad_rejoin_succeeded(struct kad_node *node) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  if (rejoin->reached) {
    rejoin->after = KAD_REJOIN_MIN_MS;
  }
}

static bool remembers(const struct kad_rejoin *rejoin,
                      const struct kad_address *address) {
  for (size_t i = 0; i < rejoin->known_count; i++) {
    if (kad_address_equal(&rejoin->known[i], address)) {
      return true;
    }
  }
  return false;
}

/* Makes room for `count` more addresses, up to KAD_KNOWN_MAX. Returns false
 * when out of memory. */
static bool make_room(struct kad_node *node, size_t count) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const size_t all = rejoin->known_count + count;
  return KAD_ARRAY_RESERVE(&node->env.allocator, &rejoin->known,
                           &rejoin->known_cap,
                           all < KAD_KNOWN_MAX ? all : KAD_KNOWN_MAX) == 0;
}

void kad_rejoin_remember(struct kad_node *node, const struct kad_address *known,
                         size_t count) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  rejoin->asked = true;
  rejoin->at = kad_time_add(kad_node_now(node), rejoin->after);
  if (count == 0 || known == rejoin->known || !make_room(node, count)) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (remembers(rejoin, &known[i])) {
      continue;
    }
    if (rejoin->known_count < rejoin->known_cap) {
      rejoin->known[rejoin->known_count++] = known[i];
    } else {
      rejoin->known[rejoin->known_next++] = known[i];
      rejoin->known_next %= KAD_KNOWN_MAX;
    }
  }
}

void kad_rejoin_start(struct kad_node *node) {
  node->maintenance.rejoin.after = KAD_REJOIN_MIN_MS;
}

void kad_rejoin_stop(struct kad_node *node) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  KAD_ARRAY_FREE(&node->env.allocator, &rejoin->known, &rejoin->known_cap);
  *rejoin = (struct kad_rejoin){0};
}

#include "membership/rejoin.h"

#include "base/address.h"
#include "base/array.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"

void kad_rejoin_started(struct kad_node *node) {
  node->maintenance.rejoin.running = true;
}

void kad_rejoin_ended(struct kad_node *node, int status) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const kad_time_ms after_ms = 2 * rejoin->after_ms;
  const bool needs_names =
      rejoin->known_count == 0 && kad_names_have_failed(node);
  const kad_time_ms most_ms =
      needs_names ? KAD_REJOIN_NAMES_MAX_MS : KAD_REJOIN_MAX_MS;
  rejoin->running = false;
  if (status == 0 && rejoin->reached) {
    rejoin->after_ms = KAD_REJOIN_MIN_MS;
    return;
  }
  rejoin->after_ms = after_ms < most_ms ? after_ms : most_ms;
}

kad_time_ms kad_rejoin_due(const struct kad_node *node) {
  const struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const bool is_cut_off =
      node->maintenance.liveness.isolated || !rejoin->reached;
  const bool knows_any =
      rejoin->known_count > 0 || node->maintenance.names.count > 0;
  return is_cut_off && rejoin->requested && knows_any && !rejoin->running
             ? rejoin->at
             : KAD_TIME_NEVER;
}

void kad_rejoin_round(struct kad_node *node) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const kad_time_ms now = kad_node_now(node);
  if (now < kad_rejoin_due(node)) {
    return;
  }
  node->events->rejoin_due(node, rejoin->known, rejoin->known_count);
  rejoin->at = kad_time_add(now, kad_rng_jitter(node, rejoin->after_ms));
}

void kad_rejoin_reached(struct kad_node *node) {
  node->maintenance.rejoin.reached = true;
}

void kad_rejoin_succeeded(struct kad_node *node) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  if (rejoin->reached) {
    rejoin->after_ms = KAD_REJOIN_MIN_MS;
  }
}

/* Makes room for `count` more addresses, up to KAD_REJOIN_KNOWN_MAX in all.
 * Returns false when out of memory. */
static bool reserve_known(struct kad_node *node, size_t count) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  const size_t all = rejoin->known_count + count;
  return KAD_ARRAY_RESERVE(
             &node->env.allocator, &rejoin->known, &rejoin->known_cap,
             all < KAD_REJOIN_KNOWN_MAX ? all : KAD_REJOIN_KNOWN_MAX) == 0;
}

static void remember(struct kad_node *node, const struct kad_address *known) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  if (kad_address_is_among(rejoin->known, rejoin->known_count, known) ||
      kad_node_check_address(node, known) == KAD_EOWNID) {
    return;
  }
  if (rejoin->known_count < rejoin->known_cap) {
    rejoin->known[rejoin->known_count++] = *known;
  } else {
    rejoin->known[rejoin->known_next++] = *known;
    rejoin->known_next %= KAD_REJOIN_KNOWN_MAX;
  }
}

void kad_rejoin_remember(struct kad_node *node, const struct kad_address *known,
                         size_t count) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  rejoin->at = kad_time_add(kad_node_now(node), rejoin->after_ms);
  if (count > 0 && known != rejoin->known && reserve_known(node, count)) {
    for (size_t i = 0; i < count; i++) {
      remember(node, &known[i]);
    }
  }
  /* Not if all of them are our own: then others join through us. */
  rejoin->requested = rejoin->requested || count == 0 ||
                      rejoin->known_count > 0 ||
                      node->maintenance.names.count > 0;
}

void kad_rejoin_forget(struct kad_node *node, const struct kad_address *own) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  for (size_t i = 0; i < rejoin->known_count; i++) {
    if (kad_address_equal(&rejoin->known[i], own)) {
      rejoin->known[i] = rejoin->known[--rejoin->known_count];
      rejoin->known_next = 0;
      rejoin->requested =
          rejoin->known_count > 0 || node->maintenance.names.count > 0;
      return;
    }
  }
}

const struct kad_address *kad_rejoin_known(const struct kad_node *node,
                                           size_t index) {
  const struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  struct kad_name_cursor cursor = {0};
  const struct kad_address *address = NULL;
  if (index < rejoin->known_count) {
    return &rejoin->known[index];
  }
  for (size_t i = rejoin->known_count; i <= index; i++) {
    address = kad_names_next_address(node, &cursor);
    if (address == NULL) {
      return NULL;
    }
  }
  return address;
}

bool kad_rejoin_is_wanted(const struct kad_node *node) {
  const struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  return rejoin->requested &&
         (rejoin->known_count > 0 || node->maintenance.names.count == 0 ||
          kad_names_lead_elsewhere(node));
}

void kad_rejoin_start(struct kad_node *node) {
  node->maintenance.rejoin.after_ms = KAD_REJOIN_MIN_MS;
}

void kad_rejoin_stop(struct kad_node *node) {
  struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  KAD_ARRAY_FREE(&node->env.allocator, &rejoin->known, &rejoin->known_cap);
  *rejoin = (struct kad_rejoin){0};
}

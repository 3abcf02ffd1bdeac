#include "membership/maintenance.h"

#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "membership/check_interval.h"

static void run_round(struct kad_node *node, struct kad_timer *timer);

/* Sets the timer of the next round. */
static void schedule_round(struct kad_node *node) {
  const kad_time_ms now = kad_node_now(node);
  const kad_time_ms interval = node->maintenance.check_interval_ms;
  const kad_time_ms soon =
      kad_time_add(now, kad_rng_jitter(node, KAD_ROUND_DELAY_MS));
  const kad_time_ms due[] = {kad_refresh_due(node), kad_rejoin_due(node)};
  kad_time_ms at = kad_time_add(now, kad_rng_jitter(node, interval));
  for (size_t i = 0; i < sizeof due / sizeof *due; i++) {
    at = due[i] < at ? due[i] : at;
  }
  kad_timer_set(node, &node->maintenance.round, at > soon ? at : soon,
                run_round);
}

/* Refreshes the whole table as after a join, unless it was done lately. */
static void refresh_all(struct kad_node *node) {
  struct kad_maintenance *maintenance = &node->maintenance;
  const kad_time_ms now = kad_node_now(node);
  if (now < maintenance->refresh_all_at) {
    return;
  }
  maintenance->refresh_all = false;
  maintenance->refresh_all_at = kad_time_add(now, KAD_REFRESH_ALL_MS);
  kad_liveness_delay_prune(node);
  kad_check_interval_set(node, KAD_CHECK_INTERVAL_MIN_MS);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    kad_refresh_self_soon(node, i, now);
  }
  kad_maintenance_joined(node);
}

static void run_round(struct kad_node *node, struct kad_timer *timer) {
  (void)timer;
  /* After a jump the liveness is updated in the next round. */
  if (kad_clock_wall_jumped(node) || kad_liveness_update(node)) {
    node->maintenance.refresh_all = true;
  }
  if (node->maintenance.refresh_all) {
    refresh_all(node);
  }
  kad_liveness_check(node);
  kad_rejoin_round(node);
  kad_recovery_round(node);
  kad_refresh_next(node);
  schedule_round(node);
}

void kad_maintenance_start(struct kad_node *node) {
  kad_check_interval_set(node, KAD_CHECK_INTERVAL_MIN_MS);
  kad_refresh_start(node);
  kad_rejoin_start(node);
  schedule_round(node);
}

void kad_maintenance_stop(struct kad_node *node) {
  kad_refresh_stop(node);
  kad_rejoin_stop(node);
  kad_recovery_stop(node);
  kad_names_stop(node);
  kad_timer_cancel(node, &node->maintenance.round);
}

void kad_maintenance_contact_added(struct kad_node *node, unsigned family) {
  struct kad_maintenance *maintenance = &node->maintenance;
  const size_t index = kad_family_index(family);
  const kad_time_ms soon = kad_time_add(
      kad_node_now(node), kad_rng_jitter(node, KAD_ROUND_DELAY_MS));
  maintenance->liveness.had_contacts = true;
  if (kad_table_count(node->tables[index]) > node->config.k) {
    return;
  }
  kad_refresh_self_soon(node, index, soon);
  if (maintenance->round.deadline.at > soon) {
    kad_timer_set(node, &maintenance->round, soon, run_round);
  }
}

void kad_maintenance_refresh_all(struct kad_node *node) {
  struct kad_timer *round = &node->maintenance.round;
  node->maintenance.refresh_all = true;
  if (!node->closing) {
    kad_timer_set(node, round, kad_node_now(node), run_round);
  }
}

void kad_maintenance_joined(struct kad_node *node) {
  kad_rejoin_succeeded(node);
  kad_refresh_far_buckets(node);
}

void kad_maintenance_rejoin_ended(struct kad_node *node, int status) {
  kad_rejoin_ended(node, status);
  if (kad_rejoin_due(node) < node->maintenance.round.deadline.at) {
    schedule_round(node);
  }
}

/* Returns true if fewer than half of the contacts answered the latest query. */
static bool most_are_silent(const struct kad_node *node) {
  size_t all = 0;
  size_t answering = 0;
  const struct kad_table_entry *entry;
  struct kad_contact_cursor cursor = {0};
  while ((entry = kad_node_next_contact(node, &cursor)) != NULL) {
    all++;
    answering += entry->failures == 0;
  }
  return 2 * answering < all;
}

enum kad_state kad_maintenance_state(const struct kad_node *node) {
  const struct kad_maintenance *maintenance = &node->maintenance;
  if (!maintenance->liveness.had_contacts) {
    return kad_rejoin_is_wanted(node) ? KAD_STATE_JOINING : KAD_STATE_NEW;
  }
  if (kad_liveness_is_isolated(node)) {
    return KAD_STATE_ISOLATED;
  }
  return most_are_silent(node) ? KAD_STATE_DEGRADED : KAD_STATE_HEALTHY;
}

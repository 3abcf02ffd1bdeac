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

/* How many contacts there are, and how many answered the latest query. */
struct answers {
  size_t all;
  size_t answering;
};

static struct answers count_answering(const struct kad_node *node) {
  struct answers count = {0};
  const struct kad_table_entry *entry;
  struct kad_contact_cursor cursor = {0};
  while ((entry = kad_node_next_contact(node, &cursor)) != NULL) {
    count.all++;
    count.answering += entry->failures == 0;
  }
  return count;
}

/* Returns true if fewer than half of the contacts answered the latest query. Of
 * more than k it stays true until all have, or two thirds have for a while:
 * otherwise the state would change all the time while about half are dead. */
static bool is_degraded(const struct kad_node *node) {
  const struct kad_maintenance *maintenance = &node->maintenance;
  const struct answers count = count_answering(node);
  if (2 * count.answering < count.all || count.all <= node->config.k) {
    return 2 * count.answering < count.all;
  }
  return maintenance->degraded && count.answering < count.all &&
         kad_time_since(maintenance->silent_at, kad_node_now(node)) <
             KAD_RETURN_MS;
}

/* Returns true if a node that was isolated no longer is: two contacts answered
 * within a while, or one of at most k did, or one still does later. A
 * single answer among many dead contacts does not change the state. */
static bool has_returned(const struct kad_node *node) {
  const struct kad_maintenance *maintenance = &node->maintenance;
  const kad_time_ms now = kad_node_now(node);
  const kad_time_ms later =
      kad_time_add(maintenance->unanswered_at, KAD_RETURN_MS);
  size_t all = 0;
  size_t heard = 0;
  bool still_answers = false;
  const struct kad_table_entry *entry;
  struct kad_contact_cursor cursor = {0};
  while ((entry = kad_node_next_contact(node, &cursor)) != NULL) {
    all++;
    heard += entry->last_seen >= maintenance->isolated_since &&
             kad_time_since(entry->last_seen, now) < KAD_RETURN_MS;
    still_answers = still_answers || entry->last_seen >= later;
  }
  return heard >= 2 || (heard == 1 && all <= node->config.k) || still_answers;
}

/* Returns true if the state is isolated. */
static bool is_isolated(const struct kad_node *node) {
  return kad_liveness_is_isolated(node) ||
         (node->maintenance.isolated && !has_returned(node));
}

/* Updates what the state depends on besides the table. */
static void update_state(struct kad_node *node) {
  struct kad_maintenance *maintenance = &node->maintenance;
  const struct answers count = count_answering(node);
  const bool was_isolated = maintenance->isolated;
  if (!maintenance->liveness.had_contacts) {
    return;
  }
  maintenance->isolated = is_isolated(node);
  if (maintenance->isolated && !was_isolated) {
    maintenance->isolated_since = kad_node_now(node);
  }
  if (kad_liveness_is_isolated(node)) {
    maintenance->unanswered_at = kad_node_now(node);
  }
  if (3 * count.answering < 2 * count.all) {
    maintenance->silent_at = kad_node_now(node);
  }
  maintenance->degraded = maintenance->isolated || is_degraded(node);
}

static void run_round(struct kad_node *node, struct kad_timer *timer) {
  (void)timer;
  update_state(node);
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

enum kad_state kad_maintenance_state(const struct kad_node *node) {
  const struct kad_maintenance *maintenance = &node->maintenance;
  if (!maintenance->liveness.had_contacts) {
    return kad_rejoin_is_wanted(node) ? KAD_STATE_JOINING : KAD_STATE_NEW;
  }
  if (is_isolated(node)) {
    return KAD_STATE_ISOLATED;
  }
  const bool is_small = count_answering(node).all <= node->config.k;
  const bool degraded = is_small ? is_degraded(node) : maintenance->degraded;
  return degraded ? KAD_STATE_DEGRADED : KAD_STATE_HEALTHY;
}

#include "overlay/maintenance.h"

#include "base/allocator.h"
#include "base/time.h"
#include "overlay/node.h"
#include "overlay/publishing.h"

#include <string.h>

static void run_round(struct kad_node *node, struct kad_alarm *alarm);

/* Sets the next round: soon while buckets wait to be refreshed after a join. */
static void plan_round(struct kad_node *node) {
  kad_time_ms after = kad_node_jitter(node, KAD_TICK_MS);
  kad_alarm_set(node, &node->maintenance.round,
                kad_time_add(kad_node_now(node), after), run_round);
}

/* Pings the questionable contacts that were seen longest ago. */
static void ping_questionable(struct kad_node *node,
                              const struct kad_table *table, kad_time_ms now) {
  kad_time_ms before = kad_time_since((kad_time_ms)node->config.query_ms, now);
  for (int i = 0; i < KAD_ROUND_PINGS; i++) {
    const struct kad_entry *entry = kad_table_questionable(table, now, before);
    if (entry == NULL) {
      return;
    }
    kad_verify_probe(node, &entry->contact);
  }
}

static void refresh_next(struct kad_node *node);

static void refreshed(struct kad_node *node, struct kad_lookup *lookup) {
  node->maintenance.refresh = NULL;
  kad_lookup_free(node, lookup);
  refresh_next(node);
}

/* Starts a background lookup. */
static void look_up(struct kad_node *node, unsigned family,
                    const struct kad_id *target) {
  const struct kad_lookup_config config = {
      .family = family,
      .target = *target,
      .method = KAD_METHOD_FIND_NODE,
      .alpha = node->config.alpha,
      .k = node->config.k,
      .deadline_ms = node->config.lookup_ms,
      .done = refreshed,
  };
  if (kad_lookup_start(node, &config, &node->maintenance.refresh) != 0) {
    node->maintenance.refresh = NULL;
  }
}

/* Returns the bucket of `table` to refresh now, or its number of buckets: first
 * those that a join left, then one that was not looked into for a period. */
static size_t pick_bucket(struct kad_node *node, const struct kad_table *table,
                          size_t family_index) {
  size_t *farther = &node->maintenance.farther[family_index];
  size_t buckets = kad_table_buckets(table);
  if (*farther > 0) {
    *farther = *farther < buckets ? *farther : buckets;
    return --*farther;
  }
  kad_time_ms period = (kad_time_ms)node->config.refresh_s * KAD_MS_PER_S;
  for (size_t i = 0; i < buckets; i++) {
    kad_time_ms since =
        kad_time_since(kad_table_refreshed(table, i), kad_node_now(node));
    if (since >= period) {
      return i;
    }
  }
  return buckets;
}

/* Refreshes one bucket of either family, unless a refresh runs. */
static void refresh_next(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    if (table == NULL || kad_table_count(table) == 0 ||
        node->maintenance.refresh != NULL || node->closing) {
      continue;
    }
    size_t bucket = pick_bucket(node, table, i);
    if (bucket < kad_table_buckets(table)) {
      uint8_t random[KAD_ID_SIZE];
      struct kad_id target;
      node->env.random(node->env.state, random, sizeof random);
      kad_table_random_id(table, bucket, random, &target);
      node->stats.refreshes++;
      look_up(node, i == 0 ? 4 : 6, &target);
    }
  }
}

static size_t count_contacts(const struct kad_node *node) {
  size_t count = 0;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    count += node->tables[i] != NULL ? kad_table_count(node->tables[i]) : 0;
  }
  return count;
}

static size_t count_good(const struct kad_node *node) {
  size_t count = 0;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      count += kad_table_good(node->tables[i], kad_node_now(node));
    }
  }
  return count;
}

/* Looks our own id up now and then, often while we know few. */
static void look_around(struct kad_node *node, kad_time_ms now) {
  struct kad_maintenance *maintenance = &node->maintenance;
  if (now < maintenance->self_at || maintenance->refresh != NULL ||
      count_contacts(node) == 0) {
    return;
  }
  kad_time_ms after = maintenance->self_after;
  maintenance->self_at = kad_time_add(now, kad_node_jitter(node, after));
  maintenance->self_after =
      2 * after < KAD_SELF_MAX_MS ? 2 * after : KAD_SELF_MAX_MS;
  for (unsigned i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL && kad_table_count(node->tables[i]) > 0 &&
        maintenance->refresh == NULL) {
      look_up(node, i == 0 ? 4 : 6, &node->config.id);
    }
  }
}

static void rejoined(void *data, const struct kad_result *result) {
  struct kad_node *node = data;
  struct kad_maintenance *maintenance = &node->maintenance;
  kad_time_ms after = maintenance->rejoin_after;
  maintenance->rejoining = false;
  if (result->status == 0) {
    maintenance->rejoin_after = KAD_REJOIN_MIN_MS;
    return;
  }
  maintenance->rejoin_after =
      2 * after < KAD_REJOIN_MAX_MS ? 2 * after : KAD_REJOIN_MAX_MS;
}

/* Joins again while we are alone, backing off when the bootstrap is silent. */
static void rejoin(struct kad_node *node, kad_time_ms now) {
  struct kad_maintenance *maintenance = &node->maintenance;
  if (!maintenance->asked_to_join || maintenance->known_count == 0 ||
      maintenance->rejoining || now < maintenance->rejoin_at ||
      count_good(node) > 0) {
    return;
  }
  maintenance->rejoin_at =
      kad_time_add(now, kad_node_jitter(node, maintenance->rejoin_after));
  maintenance->rejoining =
      kad_node_bootstrap(node, maintenance->known, maintenance->known_count,
                         rejoined, node, NULL) == 0;
}

static void run_round(struct kad_node *node, struct kad_alarm *alarm) {
  kad_time_ms now = kad_node_now(node);
  (void)alarm;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      (void)kad_table_prune(node->tables[i], now);
      ping_questionable(node, node->tables[i], now);
    }
  }
  rejoin(node, now);
  look_around(node, now);
  refresh_next(node);
  plan_round(node);
}

void kad_maintenance_start(struct kad_node *node) {
  node->maintenance.rejoin_after = KAD_REJOIN_MIN_MS;
  node->maintenance.self_after = KAD_SELF_MIN_MS;
  plan_round(node);
}

void kad_maintenance_stop(struct kad_node *node) {
  struct kad_maintenance *maintenance = &node->maintenance;
  if (maintenance->refresh != NULL) {
    kad_lookup_free(node, maintenance->refresh);
    maintenance->refresh = NULL;
  }
  kad_alarm_unset(node, &maintenance->round);
  kad_alarm_unset(node, &maintenance->expiry);
  kad_alarm_unset(node, &maintenance->republish);
}

void kad_maintenance_met(struct kad_node *node) {
  struct kad_maintenance *maintenance = &node->maintenance;
  maintenance->had_contacts = true;
  if (count_contacts(node) <= node->config.k) {
    kad_time_ms soon =
        kad_time_add(kad_node_now(node), kad_node_jitter(node, KAD_TICK_MS));
    maintenance->self_after = KAD_SELF_MIN_MS;
    maintenance->self_at =
        soon < maintenance->self_at ? soon : maintenance->self_at;
  }
}

void kad_maintenance_remember(struct kad_node *node,
                              const struct kad_address *known, size_t count) {
  struct kad_maintenance *maintenance = &node->maintenance;
  maintenance->asked_to_join = true;
  if (known == maintenance->known || count == 0) {
    return;
  }
  memcpy(maintenance->known, known, count * sizeof *known);
  maintenance->known_count = count;
  maintenance->rejoin_at =
      kad_time_add(kad_node_now(node), maintenance->rejoin_after);
}

void kad_maintenance_joined(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    struct kad_contact closest;
    if (table != NULL &&
        kad_table_closest(table, &node->config.id, kad_node_now(node), &closest,
                          1) == 1) {
      node->maintenance.farther[i] = kad_table_bucket_of(table, &closest.id);
    }
  }
  refresh_next(node);
}

enum kad_state kad_maintenance_state(const struct kad_node *node) {
  const struct kad_maintenance *maintenance = &node->maintenance;
  size_t contacts = count_contacts(node);
  size_t good = count_good(node);
  if (good > 0) {
    return 2 * good < contacts ? KAD_STATE_DEGRADED : KAD_STATE_HEALTHY;
  }
  if (maintenance->had_contacts) {
    return KAD_STATE_ISOLATED;
  }
  return maintenance->asked_to_join ? KAD_STATE_JOINING : KAD_STATE_NEW;
}

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
static void ping_questionable(struct kad_node *node, struct kad_table *table,
                              kad_time_ms now) {
  kad_time_ms before = kad_time_since((kad_time_ms)node->config.query_ms, now);
  for (int i = 0; i < KAD_ROUND_PINGS; i++) {
    const struct kad_entry *entry = kad_table_questionable(table, now, before);
    if (entry == NULL) {
      return;
    }
    kad_verify_probe(node, &entry->contact);
  }
}

static void look_next(struct kad_node *node);

static void looked_up(struct kad_node *node, struct kad_lookup *lookup) {
  node->maintenance.refresh = NULL;
  kad_lookup_free(node, lookup);
  look_next(node);
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
      .done = looked_up,
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

/* Refreshes a bucket of `table` if it is time. */
static void refresh_next(struct kad_node *node, const struct kad_table *table,
                         size_t family_index) {
  size_t bucket = pick_bucket(node, table, family_index);
  if (bucket < kad_table_buckets(table)) {
    uint8_t random[KAD_ID_SIZE];
    struct kad_id target;
    node->env.random(node->env.state, random, sizeof random);
    kad_table_random_id(table, bucket, random, &target);
    node->stats.refreshes++;
    look_up(node, family_index == 0 ? 4 : 6, &target);
  }
}

/* Looks our own id up now and then, often while we know few. */
static void look_around(struct kad_node *node, size_t family_index) {
  struct kad_maintenance *maintenance = &node->maintenance;
  kad_time_ms now = kad_node_now(node);
  kad_time_ms after = maintenance->self_after[family_index];
  if (now < maintenance->self_at[family_index]) {
    return;
  }
  maintenance->self_at[family_index] =
      kad_time_add(now, kad_node_jitter(node, after));
  maintenance->self_after[family_index] =
      2 * after < KAD_SELF_MAX_MS ? 2 * after : KAD_SELF_MAX_MS;
  look_up(node, family_index == 0 ? 4 : 6, &node->config.id);
}

/* Starts the background lookup that is due, unless one runs. */
static void look_next(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES && !node->closing; i++) {
    const struct kad_table *table = node->tables[i];
    if (table == NULL || kad_table_count(table) == 0) {
      continue;
    }
    if (node->maintenance.refresh == NULL) {
      look_around(node, i);
    }
    if (node->maintenance.refresh == NULL) {
      refresh_next(node, table, i);
    }
  }
}

/* How many contacts there are, and how many of them answer. */
struct census {
  size_t all;
  size_t answering; /* the latest query */
  size_t bad;
};

static struct census take_census(const struct kad_node *node) {
  struct census census = {0};
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    size_t bucket = 0;
    size_t slot = 0;
    const struct kad_entry *entry;
    while (node->tables[i] != NULL &&
           (entry = kad_table_next(node->tables[i], &bucket, &slot)) != NULL) {
      census.all++;
      census.answering += entry->failures == 0;
      census.bad += kad_entry_is_bad(entry);
    }
  }
  return census;
}

bool kad_maintenance_has_contacts(const struct kad_node *node) {
  bool has = false;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    has =
        has || (table != NULL && kad_table_bad(table) < kad_table_count(table));
  }
  return has;
}

static void rejoined(void *data, const struct kad_result *result) {
  struct kad_node *node = data;
  struct kad_maintenance *maintenance = &node->maintenance;
  kad_time_ms after = maintenance->rejoin_after;
  maintenance->rejoining = false;
  if (result->status == 0 && maintenance->reached) {
    maintenance->rejoin_after = KAD_REJOIN_MIN_MS;
    return;
  }
  maintenance->rejoin_after =
      2 * after < KAD_REJOIN_MAX_MS ? 2 * after : KAD_REJOIN_MAX_MS;
}

/* Joins again while we are alone, or as long as no known address has ever
 * answered: others may have found us, and all of us be cut off from the rest.
 * Backs off when the bootstrap is silent. */
static void rejoin(struct kad_node *node, kad_time_ms now) {
  struct kad_maintenance *maintenance = &node->maintenance;
  if (!maintenance->asked_to_join || maintenance->known_count == 0 ||
      maintenance->rejoining || now < maintenance->rejoin_at) {
    return;
  }
  maintenance->rejoining =
      kad_node_bootstrap(node, maintenance->known, maintenance->known_count,
                         rejoined, node, NULL) == 0;
  maintenance->rejoin_at =
      kad_time_add(now, kad_node_jitter(node, maintenance->rejoin_after));
}

/* Looks around as after a join. Who was silent while we were alone is given the
 * time to answer again. */
static void come_back(struct kad_node *node, kad_time_ms now) {
  struct kad_maintenance *maintenance = &node->maintenance;
  kad_time_ms ping_ms = (kad_time_ms)node->config.ping_s * KAD_MS_PER_S;
  maintenance->prune_at = kad_time_add(now, ping_ms);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    maintenance->self_at[i] = now;
    maintenance->self_after[i] = KAD_SELF_MIN_MS;
  }
  kad_maintenance_joined(node);
}

/* Drops the dead, but while nobody at all answers: then it is we who are cut
 * off, and they are asked until one does. */
static void prune(struct kad_node *node, kad_time_ms now) {
  struct kad_maintenance *maintenance = &node->maintenance;
  bool was_alone = maintenance->alone;
  bool silent = node->stats.replies == maintenance->replies;
  maintenance->alone = !kad_maintenance_has_contacts(node);
  maintenance->replies = node->stats.replies;
  if (was_alone && !maintenance->alone) {
    come_back(node, now);
  }
  if (maintenance->alone || silent || now < maintenance->prune_at) {
    return;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      (void)kad_table_prune(node->tables[i], now);
    }
  }
}

static void run_round(struct kad_node *node, struct kad_alarm *alarm) {
  kad_time_ms now = kad_node_now(node);
  (void)alarm;
  prune(node, now);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      ping_questionable(node, node->tables[i], now);
    }
  }
  if (node->maintenance.alone || !node->maintenance.reached) {
    rejoin(node, now);
  }
  look_next(node);
  plan_round(node);
}

void kad_maintenance_start(struct kad_node *node) {
  node->maintenance.rejoin_after = KAD_REJOIN_MIN_MS;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    node->maintenance.self_after[i] = KAD_SELF_MIN_MS;
  }
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
  kad_release(&node->env.allocator, maintenance->known,
              maintenance->known_cap * sizeof *maintenance->known);
  maintenance->known = NULL;
  maintenance->known_count = 0;
  maintenance->known_cap = 0;
}

void kad_maintenance_met(struct kad_node *node, unsigned family) {
  struct kad_maintenance *maintenance = &node->maintenance;
  size_t index = family == 6 ? 1 : 0;
  maintenance->had_contacts = true;
  if (kad_table_count(node->tables[index]) <= node->config.k) {
    kad_time_ms soon =
        kad_time_add(kad_node_now(node), kad_node_jitter(node, KAD_TICK_MS));
    kad_time_ms *self_at = &maintenance->self_at[index];
    maintenance->self_after[index] = KAD_SELF_MIN_MS;
    *self_at = soon < *self_at ? soon : *self_at;
  }
}

static bool remembers(const struct kad_maintenance *maintenance,
                      const struct kad_address *address) {
  for (size_t i = 0; i < maintenance->known_count; i++) {
    if (kad_address_equal(&maintenance->known[i], address)) {
      return true;
    }
  }
  return false;
}

/* Makes room for `count` more addresses, as far as there may be. Returns false
 * when out of memory. */
static bool make_room(struct kad_node *node, size_t count) {
  struct kad_maintenance *maintenance = &node->maintenance;
  size_t cap = maintenance->known_count + count;
  cap = cap < KAD_KNOWN_MAX ? cap : KAD_KNOWN_MAX;
  if (cap <= maintenance->known_cap) {
    return true;
  }
  void *grown = kad_resize(&node->env.allocator, maintenance->known,
                           maintenance->known_cap * sizeof *maintenance->known,
                           cap * sizeof *maintenance->known);
  if (grown == NULL) {
    return false;
  }
  maintenance->known = grown;
  maintenance->known_cap = cap;
  return true;
}

void kad_maintenance_remember(struct kad_node *node,
                              const struct kad_address *known, size_t count) {
  struct kad_maintenance *maintenance = &node->maintenance;
  maintenance->asked_to_join = true;
  maintenance->rejoin_at =
      kad_time_add(kad_node_now(node), maintenance->rejoin_after);
  if (count == 0 || known == maintenance->known || !make_room(node, count)) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (remembers(maintenance, &known[i])) {
      continue;
    }
    if (maintenance->known_count < maintenance->known_cap) {
      maintenance->known[maintenance->known_count++] = known[i];
    } else {
      maintenance->known[maintenance->known_next++] = known[i];
      maintenance->known_next %= KAD_KNOWN_MAX;
    }
  }
}

void kad_maintenance_reached(struct kad_node *node) {
  node->maintenance.reached = true;
}

void kad_maintenance_joined(struct kad_node *node) {
  if (node->maintenance.reached) {
    node->maintenance.rejoin_after = KAD_REJOIN_MIN_MS;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    struct kad_contact closest;
    if (table != NULL &&
        kad_table_closest(table, &node->config.id, kad_node_now(node), &closest,
                          1) == 1) {
      node->maintenance.farther[i] = kad_table_bucket_of(table, &closest.id);
    }
  }
  look_next(node);
}

enum kad_state kad_maintenance_state(const struct kad_node *node) {
  const struct kad_maintenance *maintenance = &node->maintenance;
  struct census census = take_census(node);
  if (census.bad < census.all) {
    return 2 * census.answering < census.all ? KAD_STATE_DEGRADED
                                             : KAD_STATE_HEALTHY;
  }
  if (maintenance->had_contacts) {
    return KAD_STATE_ISOLATED;
  }
  return maintenance->asked_to_join ? KAD_STATE_JOINING : KAD_STATE_NEW;
}

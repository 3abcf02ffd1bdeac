#include "membership/refresh.h"

#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"

static kad_time_ms period_ms(const struct kad_node *node) {
  return (kad_time_ms)node->config.refresh_s * KAD_MS_PER_S;
}

static bool has_contacts(const struct kad_table *table) {
  return table != NULL && kad_table_count(table) > 0;
}

static enum kad_timed_outcome outcome_of(const struct kad_lookup *lookup) {
  if (lookup->converged) {
    return KAD_TIMED_OUTCOME_SUCCESS;
  }
  return lookup->timed_out ? KAD_TIMED_OUTCOME_TIMEOUT
                           : KAD_TIMED_OUTCOME_FAILED;
}

/* Ends a lookup. After a join the next one follows at once. Other lookups wait
 * for the next round, so that buckets that are due together cause no burst. */
static void end_lookup(struct kad_node *node, struct kad_lookup *lookup) {
  struct kad_refresh *refresh = &node->maintenance.refresh;
  kad_histograms_add(node, KAD_TIMED_REFRESH, outcome_of(lookup),
                     lookup->started_at);
  refresh->lookup = NULL;
  node->stats.maintenance_queries += lookup->messages;
  kad_lookup_free(node, lookup);
  if (refresh->far_buckets[0] > 0 || refresh->far_buckets[1] > 0) {
    kad_refresh_next(node);
  }
}

/* Returns the k of a lookup. A few nodes close to a random id are enough to
 * refresh its bucket, but the node needs all k of its own neighbours. */
static uint32_t lookup_k(const struct kad_node *node,
                         const struct kad_id *target) {
  const uint32_t k = node->config.k;
  return kad_id_equal(target, &node->config.id) || k < KAD_REFRESH_K
             ? k
             : KAD_REFRESH_K;
}

static void start_lookup(struct kad_node *node, unsigned family,
                         const struct kad_id *target,
                         const struct kad_contact *seed) {
  struct kad_refresh *refresh = &node->maintenance.refresh;
  const struct kad_lookup_config config = {
      .family = family,
      .target = *target,
      .method = KAD_METHOD_FIND_NODE,
      .alpha = node->config.alpha,
      .k = lookup_k(node, target),
      .deadline_ms = node->config.lookup_ms,
      .seed = seed,
      .only_seed = seed != NULL,
      .done = end_lookup,
  };
  if (kad_lookup_start(node, &config, &refresh->lookup) != 0) {
    refresh->lookup = NULL;
  }
}

/* Returns the bucket of `table` to refresh now, or the number of buckets if
 * none is due: first the far buckets after a join, then one without a lookup
 * for refresh_s. Own-id lookups refresh the last bucket. */
static size_t pick_bucket(struct kad_node *node, const struct kad_table *table,
                          size_t index) {
  size_t *far_buckets = &node->maintenance.refresh.far_buckets[index];
  const size_t buckets = kad_table_buckets(table);
  if (*far_buckets > 0) {
    *far_buckets = *far_buckets < buckets ? *far_buckets : buckets;
    return --*far_buckets;
  }
  for (size_t i = 0; i + 1 < buckets; i++) {
    const kad_time_ms since =
        kad_time_since(kad_table_refreshed(table, i), kad_node_now(node));
    if (since >= period_ms(node)) {
      return i;
    }
  }
  return buckets;
}

/* Refreshes a bucket of `table` if one is due. */
static void refresh_bucket(struct kad_node *node, const struct kad_table *table,
                           size_t index) {
  const size_t bucket = pick_bucket(node, table, index);
  if (bucket < kad_table_buckets(table)) {
    uint8_t random[KAD_ID_SIZE];
    struct kad_id target;
    node->env.random(node->env.state, random, sizeof random);
    kad_table_random_id(table, bucket, random, &target);
    node->stats.refreshes++;
    start_lookup(node, kad_family_at(index), &target, NULL);
  }
}

/* Looks our own id up if it is due. */
static void refresh_self(struct kad_node *node, size_t index) {
  struct kad_refresh *refresh = &node->maintenance.refresh;
  const kad_time_ms now = kad_node_now(node);
  const kad_time_ms after = refresh->self_after_ms[index];
  const kad_time_ms longest = period_ms(node);
  if (now < refresh->self_at[index]) {
    return;
  }
  refresh->self_at[index] = kad_time_add(now, kad_rng_jitter(node, after));
  refresh->self_after_ms[index] = 2 * after < longest ? 2 * after : longest;
  start_lookup(node, kad_family_at(index), &node->config.id, NULL);
}

void kad_refresh_next(struct kad_node *node) {
  const struct kad_refresh *refresh = &node->maintenance.refresh;
  for (size_t i = 0; i < KAD_FAMILIES && !node->closing; i++) {
    const struct kad_table *table = node->tables[i];
    if (!has_contacts(table)) {
      continue;
    }
    if (refresh->lookup == NULL) {
      refresh_self(node, i);
    }
    if (refresh->lookup == NULL) {
      refresh_bucket(node, table, i);
    }
  }
}

void kad_refresh_through(struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_refresh *refresh = &node->maintenance.refresh;
  const kad_time_ms now = kad_node_now(node);
  if (refresh->lookup == NULL && now >= refresh->through_at) {
    refresh->through_at = kad_time_add(now, KAD_REFRESH_THROUGH_MS);
    start_lookup(node, contact->address.family, &node->config.id, contact);
  }
}

void kad_refresh_far_buckets(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    struct kad_contact closest;
    if (table != NULL &&
        kad_table_closest(table, &node->config.id, kad_node_now(node), &closest,
                          1) == 1) {
      node->maintenance.refresh.far_buckets[i] =
          kad_table_bucket_of(table, &closest.id);
    }
  }
  kad_refresh_next(node);
}

void kad_refresh_self_soon(struct kad_node *node, size_t index,
                           kad_time_ms at) {
  struct kad_refresh *refresh = &node->maintenance.refresh;
  kad_time_ms *self_at = &refresh->self_at[index];
  refresh->self_after_ms[index] = KAD_REFRESH_SELF_MIN_MS;
  *self_at = at < *self_at ? at : *self_at;
}

kad_time_ms kad_refresh_due(const struct kad_node *node) {
  const struct kad_refresh *refresh = &node->maintenance.refresh;
  kad_time_ms due = KAD_TIME_NEVER;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (has_contacts(node->tables[i]) && refresh->self_at[i] < due) {
      due = refresh->self_at[i];
    }
  }
  return due;
}

void kad_refresh_start(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    node->maintenance.refresh.self_after_ms[i] = KAD_REFRESH_SELF_MIN_MS;
  }
}

void kad_refresh_stop(struct kad_node *node) {
  struct kad_refresh *refresh = &node->maintenance.refresh;
  if (refresh->lookup != NULL) {
    kad_lookup_free(node, refresh->lookup);
    refresh->lookup = NULL;
  }
}

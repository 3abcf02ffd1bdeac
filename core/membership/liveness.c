#include "membership/liveness.h"

#include "base/time.h"
#include "engine/node.h"
#include "membership/check_interval.h"

static uint64_t count_answers(const struct kad_node *node) {
  return node->stats.replies + node->stats.errors;
}

bool kad_liveness_has_contacts(const struct kad_node *node) {
  bool has = false;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    has =
        has || (table != NULL && kad_table_bad(table) < kad_table_count(table));
  }
  return has;
}

bool kad_liveness_is_isolated(const struct kad_node *node) {
  const struct kad_liveness *liveness = &node->maintenance.liveness;
  const bool is_unanswered = count_answers(node) == liveness->answers &&
                             liveness->isolation_checks >= KAD_ISOLATION_CHECKS;
  return is_unanswered || !kad_liveness_has_contacts(node);
}

/* Returns true if the table has exactly `contact`, and it is not bad. */
static bool is_trusted(const struct kad_table *table,
                       const struct kad_contact *contact) {
  const struct kad_table_entry *entry = kad_table_find_exact(table, contact);
  return entry != NULL && !kad_table_entry_is_bad(entry);
}

/* Withholds contacts that may be hidden from others while some are. */
static void withhold_contacts(struct kad_node *node) {
  const bool withhold =
      kad_hidden_contacts_are_about(&node->hidden, kad_node_now(node));
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      kad_table_withhold(node->tables[i], withhold);
    }
  }
}

/* Returns true if the silence of `contact` says that it is hidden or dead: it
 * is known only by its own queries, and the latest is long ago. If we are
 * isolated, it says nothing. */
static bool may_be_hidden(const struct kad_node *node,
                          const struct kad_contact *contact) {
  const struct kad_table_entry *entry = kad_table_find_exact(
      kad_node_table(node, contact->address.family), contact);
  return entry != NULL && !entry->reachable &&
         kad_table_entry_is_cold(entry, entry->last_queried) &&
         !node->maintenance.liveness.isolated;
}

void kad_liveness_contact_failed(struct kad_node *node,
                                 const struct kad_contact *contact) {
  struct kad_table *table = kad_node_table(node, contact->address.family);
  const bool was_trusted = is_trusted(table, contact);
  const bool is_suspect = may_be_hidden(node, contact);
  kad_table_failed(table, contact);
  if (is_trusted(table, contact)) {
    return;
  }
  if (was_trusted) {
    kad_recovery_add(node, contact);
  }
  if (is_suspect) {
    kad_hidden_contacts_suspect(&node->hidden, &contact->address,
                                kad_node_now(node));
  }
}

void kad_liveness_delay_prune(struct kad_node *node) {
  const kad_time_ms ping_ms = (kad_time_ms)node->config.ping_s * KAD_MS_PER_S;
  node->maintenance.liveness.prune_at =
      kad_time_add(kad_node_now(node), ping_ms);
}

static void prune(struct kad_node *node, kad_time_ms now) {
  node->maintenance.liveness.prune_at =
      kad_time_add(now, KAD_LIVENESS_PRUNE_MS);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      (void)kad_table_prune(node->tables[i], now);
    }
  }
}

bool kad_liveness_update(struct kad_node *node) {
  struct kad_liveness *liveness = &node->maintenance.liveness;
  const kad_time_ms now = kad_node_now(node);
  const bool was_isolated = liveness->isolated;
  const bool has_answers = count_answers(node) != liveness->answers;
  liveness->isolated = kad_liveness_is_isolated(node);
  withhold_contacts(node);
  if (has_answers) {
    liveness->answers = count_answers(node);
    liveness->timeouts = node->stats.timeouts;
    liveness->isolation_checks = 0;
  }
  if (has_answers && !was_isolated && !liveness->isolated &&
      now >= liveness->prune_at) {
    prune(node, now);
  }
  return was_isolated && !liveness->isolated && liveness->had_contacts;
}

/* Returns true if `entry` is left to check us first. */
static bool waits(const struct kad_node *node,
                  const struct kad_table_entry *entry) {
  return entry->failures == 0 &&
         kad_reachability_waits(node, entry->contact.address.family,
                                entry->last_seen);
}

/* Pings the contact that was seen longest ago, of those that are questionable
 * or bad and have no pending query. Returns false if there is none. */
static bool check_stalest(struct kad_node *node, struct kad_table *table) {
  const kad_time_ms now = kad_node_now(node);
  const kad_time_ms before =
      kad_time_since((kad_time_ms)node->config.query_ms, now);
  if (table == NULL) {
    return false;
  }
  const struct kad_table_entry *entry =
      kad_table_questionable(table, now, before);
  if (entry == NULL || waits(node, entry)) {
    return false;
  }
  kad_verification_ping(node, &entry->contact);
  return true;
}

/* Pings, of the contacts that answered our latest query to them, the one that
 * was seen last.
 * The stalest contacts may all be bad; these are not. */
static void check_freshest(struct kad_node *node) {
  const struct kad_table_entry *freshest = NULL;
  const struct kad_table_entry *entry;
  struct kad_contact_cursor cursor = {0};
  while ((entry = kad_node_next_contact(node, &cursor)) != NULL) {
    if (entry->failures == 0 &&
        (freshest == NULL || kad_table_entry_is_staler(freshest, entry))) {
      freshest = entry;
    }
  }
  node->maintenance.liveness.isolation_checks++;
  if (freshest != NULL) {
    kad_verification_ping(node, &freshest->contact);
  }
}

static bool may_be_isolated(const struct kad_node *node) {
  const struct kad_liveness *liveness = &node->maintenance.liveness;
  return !liveness->isolated && count_answers(node) == liveness->answers &&
         node->stats.timeouts >= liveness->timeouts + KAD_ISOLATION_TIMEOUTS;
}

void kad_liveness_check(struct kad_node *node) {
  struct kad_liveness *liveness = &node->maintenance.liveness;
  if (may_be_isolated(node)) {
    check_freshest(node);
    return;
  }
  if (liveness->isolated) {
    kad_check_interval_set(node, KAD_CHECK_INTERVAL_MAX_MS);
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    liveness->family_index = (liveness->family_index + 1) % KAD_FAMILIES;
    if (check_stalest(node, node->tables[liveness->family_index])) {
      return;
    }
  }
  kad_check_interval_adapt(node, true);
}

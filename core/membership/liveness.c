#include "membership/liveness.h"

#include "base/time.h"
#include "engine/node.h"

enum {
  SLOWING = 16 /* part of the pace by which an answer lengthens it */
};

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

/* Nobody has answered since a round that had answers to see. */
static bool is_silent(const struct kad_node *node) {
  const struct kad_liveness *liveness = &node->maintenance.liveness;
  return count_answers(node) == liveness->answers &&
         liveness->doubts >= KAD_DOUBTS_MAX;
}

bool kad_liveness_is_alone(const struct kad_node *node) {
  return is_silent(node) || !kad_liveness_has_contacts(node);
}

static void set_pace(struct kad_node *node, kad_time_ms pace_ms) {
  pace_ms = pace_ms > KAD_PACE_MIN_MS ? pace_ms : KAD_PACE_MIN_MS;
  node->maintenance.liveness.pace_ms =
      pace_ms < KAD_PACE_MAX_MS ? pace_ms : KAD_PACE_MAX_MS;
}

void kad_liveness_heard(struct kad_node *node, bool answered) {
  const kad_time_ms pace_ms = node->maintenance.liveness.pace_ms;
  set_pace(node, answered ? pace_ms + pace_ms / SLOWING : pace_ms / 2);
}

/* Returns true if `contact` is in the table at exactly this address, and not
 * bad. */
static bool is_trusted(const struct kad_table *table,
                       const struct kad_contact *contact) {
  const struct kad_table_entry *entry = kad_table_find_exact(table, contact);
  return entry != NULL && !kad_table_entry_is_bad(entry);
}

void kad_liveness_failed(struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_table *table = kad_node_table(node, contact->address.family);
  const bool was_trusted = is_trusted(table, contact);
  kad_table_failed(table, contact);
  if (was_trusted && !is_trusted(table, contact)) {
    kad_recovery_add(node, contact);
  }
}

void kad_liveness_start(struct kad_node *node) {
  set_pace(node, KAD_PACE_MIN_MS);
}

void kad_liveness_hasten(struct kad_node *node) {
  const kad_time_ms ping_ms = (kad_time_ms)node->config.ping_s * KAD_MS_PER_S;
  node->maintenance.liveness.prune_at =
      kad_time_add(kad_node_now(node), ping_ms);
  set_pace(node, KAD_PACE_MIN_MS);
}

static void prune(struct kad_node *node, kad_time_ms now) {
  node->maintenance.liveness.prune_at = kad_time_add(now, KAD_PRUNE_MS);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      (void)kad_table_prune(node->tables[i], now);
    }
  }
}

bool kad_liveness_judge(struct kad_node *node) {
  struct kad_liveness *liveness = &node->maintenance.liveness;
  const kad_time_ms now = kad_node_now(node);
  const bool was_alone = liveness->alone;
  const bool has_answers = count_answers(node) != liveness->answers;
  liveness->alone = kad_liveness_is_alone(node);
  if (has_answers) {
    liveness->answers = count_answers(node);
    liveness->timeouts = node->stats.timeouts;
    liveness->doubts = 0;
  }
  if (has_answers && !was_alone && !liveness->alone &&
      now >= liveness->prune_at) {
    prune(node, now);
  }
  return was_alone && !liveness->alone && liveness->had_contacts;
}

/* Pings the stalest contact of a table. Returns false if there is none to ask.
 */
static bool ping_stalest(struct kad_node *node, struct kad_table *table) {
  const kad_time_ms now = kad_node_now(node);
  const kad_time_ms before =
      kad_time_since((kad_time_ms)node->config.query_ms, now);
  if (table == NULL) {
    return false;
  }
  const struct kad_table_entry *entry =
      kad_table_questionable(table, now, before);
  if (entry == NULL) {
    return false;
  }
  kad_verification_probe(node, &entry->contact);
  return true;
}

/* Pings whoever was seen last of those that have left nothing unanswered: the
 * stalest may well be dead, one after the other, but these are not. */
static void ping_freshest(struct kad_node *node) {
  const struct kad_table_entry *freshest = NULL;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    size_t bucket = 0;
    size_t slot = 0;
    const struct kad_table_entry *entry;
    while (node->tables[i] != NULL &&
           (entry = kad_table_next(node->tables[i], &bucket, &slot)) != NULL) {
      if (entry->failures == 0 &&
          (freshest == NULL || kad_table_entry_is_staler(freshest, entry))) {
        freshest = entry;
      }
    }
  }
  node->maintenance.liveness.doubts++;
  if (freshest != NULL) {
    kad_verification_probe(node, &freshest->contact);
  }
}

/* Returns true if it may be that nobody answers, and has to be found out. */
static bool is_in_doubt(const struct kad_node *node) {
  const struct kad_liveness *liveness = &node->maintenance.liveness;
  return !liveness->alone && count_answers(node) == liveness->answers &&
         node->stats.timeouts >= liveness->timeouts + KAD_DOUBT_TIMEOUTS;
}

void kad_liveness_ping(struct kad_node *node) {
  struct kad_liveness *liveness = &node->maintenance.liveness;
  if (is_in_doubt(node)) {
    ping_freshest(node);
    return;
  }
  if (liveness->alone) {
    set_pace(node, KAD_PACE_MAX_MS); /* haste would help nobody */
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    liveness->turn = (liveness->turn + 1) % KAD_FAMILIES;
    if (ping_stalest(node, node->tables[liveness->turn])) {
      return;
    }
  }
  kad_liveness_heard(node, true);
}

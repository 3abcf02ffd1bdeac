#include "overlay/holding.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"
#include "overlay/node.h"
#include "records/record.h"

#include <string.h>

void kad_held_age(const struct kad_holding *holding, kad_time_ms now,
                  struct kad_record *record) {
  kad_time_ms left = kad_time_since(now, holding->expires_at);
  kad_time_ms age = kad_time_since(holding->stored_at, now);
  record->ttl = (uint32_t)((left + KAD_MS_PER_S - 1) / KAD_MS_PER_S);
  record->age = (uint32_t)(age / KAD_MS_PER_S);
}

int kad_held_read(const struct kad_node *node, const struct kad_record *record,
                  const struct kad_type *type, struct kad_held_list *held) {
  const struct kad_store *store = node->store;
  size_t cap =
      type->max_values < KAD_HELD_MAX ? type->max_values : KAD_HELD_MAX;
  *held = (struct kad_held_list){0};
  size_t there =
      store->find(store->state, &record->key, record->type, 0, NULL, 0);
  held->cap = there < cap ? there : cap;
  if (held->cap == 0) {
    return 0;
  }
  held->handles =
      kad_alloc(&node->env.allocator, held->cap * sizeof *held->handles);
  held->records =
      kad_alloc(&node->env.allocator, held->cap * sizeof *held->records);
  if (held->handles == NULL || held->records == NULL) {
    kad_held_free(node, held);
    return KAD_ENOMEM;
  }
  (void)store->find(store->state, &record->key, record->type, 0, held->handles,
                    held->cap);
  for (size_t i = 0; i < held->cap; i++) {
    struct kad_held one;
    if (store->read(store->state, held->handles[i], &one)) {
      held->handles[held->count] = held->handles[i];
      kad_held_age(&one.holding, kad_node_now(node), &one.record);
      held->records[held->count++] = one.record;
    }
  }
  return 0;
}

void kad_held_free(const struct kad_node *node, struct kad_held_list *held) {
  kad_release(&node->env.allocator, held->handles,
              held->cap * sizeof *held->handles);
  kad_release(&node->env.allocator, held->records,
              held->cap * sizeof *held->records);
  *held = (struct kad_held_list){0};
}

static void ignore_answer(struct kad_node *node, void *asker,
                          const struct kad_answer *answer) {
  (void)node;
  (void)asker;
  (void)answer;
}

void kad_hold_tell(struct kad_node *node, struct kad_ruleset *ruleset,
                   kad_hook hook, const struct kad_type *type,
                   const struct kad_record *record) {
  const struct kad_asker asker = {.resume = ignore_answer, .ruleset = ruleset};
  struct kad_question question = {.record = record};
  struct kad_answer answer;
  (void)kad_ask(node, hook, type->state, &asker, &question, &answer);
}

void kad_hold_drop(struct kad_node *node, kad_handle handle) {
  const struct kad_store *store = node->store;
  struct kad_held held;
  if (!store->read(store->state, handle, &held)) {
    return;
  }
  const struct kad_type *type =
      kad_ruleset_type(node->ruleset, held.record.type);
  struct kad_bundle copy = {0};
  bool tell =
      type != NULL && type->dropped != NULL &&
      kad_bundle_copy(&copy, &node->env.allocator, &held.record, 1) == 0;
  store->remove(store->state, handle);
  if (tell) {
    kad_hold_tell(node, node->ruleset, type->dropped, type, copy.records);
    kad_bundle_free(&copy, &node->env.allocator);
  }
}

/* Returns what is kept beside a record that `admission` brings in. */
static struct kad_holding new_holding(struct kad_node *node,
                                      const struct kad_admission *admission) {
  kad_time_ms now = kad_node_now(node);
  struct kad_holding holding = {
      .stored_at = now,
      .expires_at =
          kad_time_add(now, (kad_time_ms)admission->life_s * KAD_MS_PER_S),
      .republish_at = KAD_TIME_NEVER,
      .origin = admission->request.from.address,
  };
  if (admission->type->republish != UINT32_MAX) {
    kad_time_ms period = (kad_time_ms)admission->type->republish * KAD_MS_PER_S;
    holding.republish_at = kad_time_add(now, kad_node_jitter(node, period));
  }
  return holding;
}

/* Makes room for what has just come. */
static void make_room(struct kad_node *node) {
  kad_handle handle = kad_quota_pick(&node->quota, node->store);
  while (handle != 0) {
    kad_hold_drop(node, handle);
    node->stats.evicted++;
    handle = kad_quota_pick(&node->quota, node->store);
  }
}

/* Adds `record` to the store within the quota. Returns 0 or a KRPC code. */
static int add(struct kad_node *node, const struct kad_record *record,
               const struct kad_holding *holding, const char **reason) {
  const struct kad_store *store = node->store;
  kad_handle handle;
  if (kad_quota_check(&node->quota, store, &holding->origin,
                      record->value.len) != 0) {
    *reason = "quota exceeded";
    return KAD_CODE_REFUSED;
  }
  if (store->add(store->state, record, holding, &handle) != 0) {
    *reason = "the store is full";
    return KAD_CODE_FAILED;
  }
  make_room(node);
  kad_maintenance_stored(node);
  return 0;
}

/* Returns true if both hold the very same value, so that one refreshes the
 * other. */
static bool identical(const struct kad_record *a, const struct kad_record *b) {
  return kad_record_same(a, b) && a->seq == b->seq && a->has_seq == b->has_seq;
}

/* Returns the index of what has to go when a key is full: the oldest value of
 * the same address, so that nobody pushes others out with values of his own;
 * else the oldest. */
static size_t pick_oldest(const struct kad_node *node,
                          const struct kad_held_list *held,
                          const struct kad_address *origin) {
  const struct kad_store *store = node->store;
  for (size_t i = held->count; i > 0; i--) {
    struct kad_held one;
    if (store->read(store->state, held->handles[i - 1], &one) &&
        kad_address_same_host(&one.holding.origin, origin)) {
      return i - 1;
    }
  }
  return held->count - 1;
}

/* The default rule: by seq, else by distinct value, newest first. */
static int hold_default(struct kad_node *node,
                        const struct kad_admission *admission,
                        const struct kad_held_list *held, const char **reason) {
  const struct kad_store *store = node->store;
  const struct kad_record *record =
      &admission->request.records[admission->index];
  struct kad_holding holding = new_holding(node, admission);
  kad_handle replaced = 0;
  for (size_t i = 0; i < held->count; i++) {
    const struct kad_record *other = &held->records[i];
    if (identical(record, other)) {
      store->touch(store->state, held->handles[i], &holding);
      kad_maintenance_stored(node);
      return 0;
    }
    if (kad_record_is_older(record, other)) {
      *reason = "sequence number too low";
      return KAD_CODE_SEQ;
    }
    if (kad_record_replaces(record, other)) {
      replaced = held->handles[i];
    }
  }
  if (replaced == 0 && held->count >= admission->type->max_values) {
    replaced = held->handles[pick_oldest(node, held, &holding.origin)];
  }
  int code = add(node, record, &holding, reason);
  if (code == 0 && replaced != 0) {
    kad_hold_drop(node, replaced);
  }
  return code;
}

/* Returns true if `records` holds a value identical to `record`. */
static bool contains(const struct kad_record *records, size_t count,
                     const struct kad_record *record) {
  for (size_t i = 0; i < count; i++) {
    if (identical(&records[i], record)) {
      return true;
    }
  }
  return false;
}

/* Moves those of `merged` that are not held to its front, each once, and
 * returns how many they are. */
static size_t gather_new(struct kad_bundle *merged,
                         const struct kad_held_list *held,
                         const struct kad_record *incoming) {
  size_t fresh = 0;
  for (size_t i = 0; i < merged->count; i++) {
    struct kad_record record = merged->records[i];
    record.key = incoming->key;
    record.type = incoming->type;
    if (!contains(held->records, held->count, &record) &&
        !contains(merged->records, fresh, &record)) {
      merged->records[i] = merged->records[fresh];
      merged->records[fresh++] = record;
    }
  }
  return fresh;
}

/* Forgets the handles of those held that stay, and confirms the one that is
 * identical to `incoming`. What is left of the handles has to go. */
static void keep_held(const struct kad_node *node, struct kad_held_list *held,
                      const struct kad_bundle *merged,
                      const struct kad_record *incoming,
                      const struct kad_holding *holding) {
  const struct kad_store *store = node->store;
  for (size_t i = 0; i < held->count; i++) {
    const struct kad_record *record = &held->records[i];
    if (!contains(merged->records, merged->count, record)) {
      continue;
    }
    if (identical(record, incoming)) {
      store->touch(store->state, held->handles[i], holding);
    }
    held->handles[i] = 0;
  }
}

/* What a merge hook wants is held: what is new enters, then what it left out
 * goes, so that a full store loses nothing. */
static int hold_merged(struct kad_node *node, struct kad_admission *admission,
                       struct kad_held_list *held, const char **reason) {
  const struct kad_record *incoming =
      &admission->request.records[admission->index];
  struct kad_bundle *merged = &admission->merged;
  struct kad_holding holding = new_holding(node, admission);
  size_t fresh = gather_new(merged, held, incoming);
  keep_held(node, held, merged, incoming, &holding);
  for (size_t i = 0; i < fresh; i++) {
    int code = add(node, &merged->records[i], &holding, reason);
    if (code != 0) {
      return code;
    }
  }
  for (size_t i = 0; i < held->count; i++) {
    if (held->handles[i] != 0) {
      kad_hold_drop(node, held->handles[i]);
    }
  }
  kad_maintenance_stored(node);
  return 0;
}

int kad_hold(struct kad_node *node, struct kad_admission *admission,
             const char **reason) {
  struct kad_held_list held;
  const struct kad_record *record =
      &admission->request.records[admission->index];
  if (kad_held_read(node, record, admission->type, &held) != 0) {
    *reason = "out of memory";
    return KAD_CODE_FAILED;
  }
  int code = admission->has_merged
                 ? hold_merged(node, admission, &held, reason)
                 : hold_default(node, admission, &held, reason);
  kad_held_free(node, &held);
  return code;
}

#include "replication/commit.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "records/record.h"

#include <string.h>

void kad_held_age(const struct kad_record_meta *meta, kad_time_ms now,
                  struct kad_record *record) {
  kad_time_ms left = kad_time_since(now, meta->expires_at);
  kad_time_ms age = kad_time_since(meta->stored_at, now);
  record->ttl = (uint32_t)((left + KAD_MS_PER_S - 1) / KAD_MS_PER_S);
  record->age = (uint32_t)(age / KAD_MS_PER_S);
}

int kad_held_read(const struct kad_node *node, const struct kad_record *record,
                  const struct kad_type *type, struct kad_held_list *held) {
  const struct kad_store *store = node->store;
  size_t cap =
      type->max_values < KAD_HELD_MAX ? type->max_values : KAD_HELD_MAX;
  *held = (struct kad_held_list){0};
  size_t there = kad_store_find(store, &record->key, record->type, 0, NULL, 0);
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
  (void)kad_store_find(store, &record->key, record->type, 0, held->handles,
                       held->cap);
  for (size_t i = 0; i < held->cap; i++) {
    struct kad_held one;
    if (kad_store_read(store, held->handles[i], &one)) {
      held->handles[held->count] = held->handles[i];
      kad_held_age(&one.meta, kad_node_now(node), &one.record);
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

void kad_commit_remove(struct kad_node *node, kad_record_handle handle,
                       enum kad_reason reason) {
  const struct kad_store *store = node->store;
  struct kad_held held;
  if (handle == 0 || !kad_store_read(store, handle, &held)) {
    return;
  }
  const struct kad_type *type =
      kad_ruleset_type(node->ruleset, held.record.type);
  struct kad_bundle copy = {0};
  kad_held_age(&held.meta, kad_node_now(node), &held.record);
  bool tell =
      type != NULL && type->dropped != NULL &&
      kad_bundle_copy(&copy, &node->env.allocator, &held.record, 1) == 0;
  kad_store_remove(store, handle);
  if (tell) {
    struct kad_hook_call call = {.reason = reason, .record = copy.records};
    kad_hook_call_notify(node, node->ruleset, type->dropped, type->state,
                         &call);
    kad_bundle_free(&copy, &node->env.allocator);
  }
}

/* Returns what is kept beside a record that `admission` brings in. */
static struct kad_record_meta new_holding(
    struct kad_node *node, const struct kad_admission *admission) {
  kad_time_ms now = kad_node_now(node);
  struct kad_record_meta meta = {
      .stored_at = now,
      .expires_at =
          kad_time_add(now, (kad_time_ms)admission->life_s * KAD_MS_PER_S),
      .republish_at = KAD_TIME_NEVER,
      .origin = admission->request.from.address,
  };
  if (admission->type->republish != UINT32_MAX &&
      admission->request.reason != KAD_REASON_CACHE) {
    kad_time_ms period = (kad_time_ms)admission->type->republish * KAD_MS_PER_S;
    meta.republish_at = kad_time_add(now, kad_rng_jitter(node, period));
  }
  return meta;
}

/* Makes room for what has just come. */
static void make_room(struct kad_node *node) {
  kad_record_handle handle = kad_quota_pick(&node->quota, node->store);
  while (handle != 0) {
    kad_commit_remove(node, handle, KAD_REASON_STORE);
    node->stats.evicted++;
    handle = kad_quota_pick(&node->quota, node->store);
  }
}

static bool is_held(const struct kad_node *node, kad_record_handle handle) {
  struct kad_held held;
  return kad_store_read(node->store, handle, &held);
}

/* Returns true if the record `handle` was stored by the host of `origin`. */
static bool is_of_host(const struct kad_node *node, kad_record_handle handle,
                       const struct kad_address *origin) {
  struct kad_held held;
  return handle != 0 && kad_store_read(node->store, handle, &held) &&
         kad_address_same_host(&held.meta.origin, origin);
}

/* Adds `record` to the store if the quota lets it in. One that replaces another
 * of the same host takes no more of the host's share. Returns 0 or a KRPC code.
 */
static int enter(struct kad_node *node, const struct kad_record *record,
                 const struct kad_record_meta *meta, bool replaces,
                 kad_record_handle *handle, const char **reason) {
  const struct kad_store *store = node->store;
  size_t len = record->value.len;
  int error = replaces
                  ? kad_quota_check_room(&node->quota, store, len)
                  : kad_quota_check(&node->quota, store, &meta->origin, len);
  if (error != 0) {
    *reason = "quota exceeded";
    return KAD_CODE_REFUSED;
  }
  if (kad_store_add(store, record, meta, handle) != 0) {
    *reason = "the store is full";
    return KAD_CODE_FAILED;
  }
  return 0;
}

/* Adds `record` in the place of `replaced` (0: of none), then makes room, in
 * which it may go itself. Returns 0 or a KRPC code. */
static int add(struct kad_node *node, const struct kad_record *record,
               const struct kad_record_meta *meta, kad_record_handle replaced,
               const char **reason) {
  kad_record_handle handle = 0;
  bool replaces = is_of_host(node, replaced, &meta->origin);
  int code = enter(node, record, meta, replaces, &handle, reason);
  if (code != 0) {
    return code;
  }
  kad_commit_remove(node, replaced, KAD_REASON_STORE);
  make_room(node);
  if (!is_held(node, handle)) {
    *reason = "quota exceeded";
    code = KAD_CODE_REFUSED;
  }
  return code;
}

/* Returns true if a record of `type` is a cached copy: it is not republished,
 * though others of its type are. */
static bool is_cached_copy(const struct kad_type *type,
                           const struct kad_record_meta *meta) {
  return type->republish != UINT32_MAX && meta->republish_at == KAD_TIME_NEVER;
}

/* Notes that a held record was stored again. Whoever confirms what another one
 * stored neither takes it over, with which it would count and go as his, nor
 * shortens its life, nor has it republished again when that has ended. A cache
 * becomes the record itself. */
static void confirm(const struct kad_node *node, const struct kad_type *type,
                    kad_record_handle handle,
                    const struct kad_record_meta *incoming) {
  const struct kad_store *store = node->store;
  struct kad_record_meta meta = *incoming;
  struct kad_held held;
  if (handle == 0 || !kad_store_read(store, handle, &held)) {
    return;
  }
  const struct kad_record_meta *old = &held.meta;
  const bool was_cache = is_cached_copy(type, old);
  if (!kad_address_same_host(&old->origin, &meta.origin)) {
    meta.origin = was_cache ? meta.origin : old->origin;
    if (old->expires_at > meta.expires_at) {
      meta.expires_at = old->expires_at;
    }
    if (old->republish_at == KAD_TIME_NEVER && !was_cache) {
      meta.republish_at = KAD_TIME_NEVER;
    }
  }
  kad_store_touch(store, handle, &meta);
}

/* Returns the index of what has to go when a key is full: the oldest value of
 * the same address, so that nobody pushes others out with values of his own;
 * else the oldest. */
static size_t pick_oldest(const struct kad_node *node,
                          const struct kad_held_list *held,
                          const struct kad_address *origin) {
  for (size_t i = held->count; i > 0; i--) {
    if (is_of_host(node, held->handles[i - 1], origin)) {
      return i - 1;
    }
  }
  return held->count - 1;
}

/* The default rule: by seq, else by distinct value, newest first. */
static int hold_default(struct kad_node *node,
                        const struct kad_admission *admission,
                        const struct kad_held_list *held, const char **reason) {
  const struct kad_record *record =
      &admission->request.records[admission->index];
  struct kad_record_meta meta = new_holding(node, admission);
  kad_record_handle replaced = 0;
  for (size_t i = 0; i < held->count; i++) {
    const struct kad_record *other = &held->records[i];
    if (kad_record_identical(record, other)) {
      confirm(node, admission->type, held->handles[i], &meta);
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
  if (replaced == 0 && held->count > 0 &&
      held->count >= admission->type->max_values) {
    replaced = held->handles[pick_oldest(node, held, &meta.origin)];
  }
  return add(node, record, &meta, replaced, reason);
}

/* Returns true if `records` holds a value identical to `record`. */
static bool contains(const struct kad_record *records, size_t count,
                     const struct kad_record *record) {
  for (size_t i = 0; i < count; i++) {
    if (kad_record_identical(&records[i], record)) {
      return true;
    }
  }
  return false;
}

/* Moves those of `merged` that are not held to its front, each once, and
 * returns how many they are. */
static size_t gather_new(struct kad_bundle *merged,
                         const struct kad_held_list *held) {
  size_t fresh = 0;
  for (size_t i = 0; i < merged->count; i++) {
    struct kad_record record = merged->records[i];
    if (!contains(held->records, held->count, &record) &&
        !contains(merged->records, fresh, &record)) {
      merged->records[i] = merged->records[fresh];
      merged->records[fresh++] = record;
    }
  }
  return fresh;
}

/* Forgets the handles of those held that stay; what is left of the handles has
 * to go. Returns the handle of the one that is identical to `incoming`, or 0.
 */
static kad_record_handle keep_held(struct kad_held_list *held,
                                   const struct kad_bundle *merged,
                                   const struct kad_record *incoming) {
  kad_record_handle confirmed = 0;
  for (size_t i = 0; i < held->count; i++) {
    const struct kad_record *record = &held->records[i];
    if (!contains(merged->records, merged->count, record)) {
      continue;
    }
    if (kad_record_identical(record, incoming)) {
      confirmed = held->handles[i];
    }
    held->handles[i] = 0;
  }
  return confirmed;
}

/* Drops what is left of `handles`. */
static void drop_all(struct kad_node *node, const kad_record_handle *handles,
                     size_t count) {
  for (size_t i = 0; i < count; i++) {
    kad_commit_remove(node, handles[i], KAD_REASON_STORE);
  }
}

/* Returns how many of those that have to go are of the host of `origin`. */
static size_t count_of_host(const struct kad_node *node,
                            const struct kad_held_list *held,
                            const struct kad_address *origin) {
  size_t count = 0;
  for (size_t i = 0; i < held->count; i++) {
    count += is_of_host(node, held->handles[i], origin);
  }
  return count;
}

/* Adds `fresh` records of `merged`, all or none. Returns 0 or a KRPC code. */
static int add_fresh(struct kad_node *node,
                     const struct kad_admission *admission, size_t fresh,
                     const struct kad_held_list *held, kad_record_handle *added,
                     const char **reason) {
  size_t replaced = count_of_host(node, held, &admission->request.from.address);
  for (size_t i = 0; i < fresh; i++) {
    struct kad_record_meta meta = new_holding(node, admission);
    int code = enter(node, &admission->merged.records[i], &meta, i < replaced,
                     &added[i], reason);
    if (code != 0) {
      for (size_t j = 0; j < i; j++) {
        kad_store_remove(node->store, added[j]);
      }
      return code;
    }
  }
  return 0;
}

/* What a merge hook wants is held: what is new enters, then what it left out
 * goes, so that what does not fit changes nothing. */
static int hold_merged(struct kad_node *node, struct kad_admission *admission,
                       struct kad_held_list *held, const char **reason) {
  struct kad_record_meta meta = new_holding(node, admission);
  size_t fresh = gather_new(&admission->merged, held);
  kad_record_handle confirmed = keep_held(
      held, &admission->merged, &admission->request.records[admission->index]);
  size_t size = (fresh + 1) * sizeof(kad_record_handle);
  kad_record_handle *added = kad_alloc(&node->env.allocator, size);
  if (added == NULL) {
    *reason = "out of memory";
    return KAD_CODE_FAILED;
  }
  int code = add_fresh(node, admission, fresh, held, added, reason);
  if (code == 0) {
    confirm(node, admission->type, confirmed, &meta);
    drop_all(node, held->handles, held->count);
    make_room(node);
    if (fresh > 0 && !is_held(node, added[0])) {
      *reason = "quota exceeded";
      code = KAD_CODE_REFUSED;
    }
  }
  kad_release(&node->env.allocator, added, size);
  return code;
}

/* Returns true if something other than caches is held. */
static bool holds_more_than_caches(const struct kad_node *node,
                                   const struct kad_type *type,
                                   const struct kad_held_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    struct kad_held held;
    if (kad_store_read(node->store, list->handles[i], &held) &&
        !is_cached_copy(type, &held.meta)) {
      return true;
    }
  }
  return false;
}

/* A cache is taken where there is nothing but caches: it neither replaces the
 * records themselves nor changes their lives. */
int kad_commit(struct kad_node *node, struct kad_admission *admission,
               const char **reason) {
  struct kad_held_list held;
  const struct kad_record *record =
      &admission->request.records[admission->index];
  if (kad_held_read(node, record, admission->type, &held) != 0) {
    *reason = "out of memory";
    return KAD_CODE_FAILED;
  }
  if (admission->request.reason == KAD_REASON_CACHE &&
      holds_more_than_caches(node, admission->type, &held)) {
    kad_held_free(node, &held);
    *reason = "held already";
    return KAD_CODE_REFUSED;
  }
  int code = admission->has_merged
                 ? hold_merged(node, admission, &held, reason)
                 : hold_default(node, admission, &held, reason);
  kad_held_free(node, &held);
  return code;
}

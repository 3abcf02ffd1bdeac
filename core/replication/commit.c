#include "replication/commit.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "records/item.h"
#include "records/record.h"
#include "replication/admission.h"
#include "replication/held.h"

void kad_commit_remove(struct kad_node *node, kad_record_handle handle,
                       enum kad_reason reason) {
  struct kad_held held;
  if (!kad_store_read(node->store, handle, &held)) {
    kad_store_remove(node->store, handle); /* else it would be due again */
    return;
  }
  const struct kad_type *type =
      kad_ruleset_type(node->ruleset, held.record.type);
  struct kad_bundle copy = {0};
  kad_held_age(&held.meta, kad_node_now(node), &held.record);
  bool notify =
      type != NULL && type->dropped != NULL &&
      kad_bundle_copy(&copy, &node->env.allocator, &held.record, 1) == 0;
  kad_store_remove(node->store, handle);
  if (notify) {
    struct kad_hook_call call = {.reason = reason, .record = copy.records};
    kad_hook_call_notify(node, node->ruleset, type->dropped, type->state,
                         &call);
    kad_bundle_free(&copy, &node->env.allocator);
  }
}

/* Returns the meta of `record`, which `admission` has accepted. */
static struct kad_record_meta make_meta(struct kad_node *node,
                                        const struct kad_admission *admission,
                                        const struct kad_record *record) {
  kad_time_ms now = kad_node_now(node);
  struct kad_record_meta meta = {
      .stored_at = now,
      .expires_at =
          kad_time_add(now, (kad_time_ms)admission->life_s * KAD_MS_PER_S),
      .republish_at = KAD_TIME_NEVER,
      .origin = admission->request.from.address,
      .is_seed = record->is_seed,
  };
  if (admission->type->republish != UINT32_MAX &&
      admission->request.reason != KAD_REASON_CACHE) {
    kad_time_ms period = (kad_time_ms)admission->type->republish * KAD_MS_PER_S;
    meta.republish_at = kad_time_add(now, kad_rng_jitter(node, period));
  }
  return meta;
}

/* Evicts records until the quota is kept. */
static void evict_excess(struct kad_node *node) {
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

static int refuse_quota(struct kad_node *node, const char **reason) {
  node->stats.over_quota++;
  *reason = "quota exceeded";
  return KAD_CODE_REFUSED;
}

/* Adds `record` to the store if the quota allows it. Returns 0 or a KRPC code.
 */
static int add_within_quota(struct kad_node *node,
                            const struct kad_record *record,
                            const struct kad_record_meta *meta,
                            const struct kad_quota_claim *claim,
                            kad_record_handle *handle, const char **reason) {
  if (kad_quota_check(&node->quota, node->store, claim) != 0) {
    return refuse_quota(node, reason);
  }
  const int error = kad_store_add(node->store, record, meta, handle);
  *reason = error == KAD_EFULL ? "the store is full" : "the store failed";
  return error == 0 ? 0 : KAD_CODE_FAILED;
}

/* Adds `record`, removes `replaced` (0: none), then evicts what is too much,
 * which may be `record` itself. Returns 0 or a KRPC code. */
static int replace(struct kad_node *node, const struct kad_record *record,
                   const struct kad_record_meta *meta,
                   kad_record_handle replaced, const char **reason) {
  kad_record_handle handle = 0;
  struct kad_quota_claim claim = kad_quota_claim_of(record, meta);
  kad_quota_claim_replace(&claim, node->store, replaced);
  int code = add_within_quota(node, record, meta, &claim, &handle, reason);
  if (code != 0) {
    return code;
  }
  kad_commit_remove(node, replaced, KAD_REASON_STORE);
  evict_excess(node);
  return is_held(node, handle) ? 0 : refuse_quota(node, reason);
}

/* Returns true if a record of `type` is a cached copy: it is not republished,
 * though others of its type are. */
static bool is_cached_copy(const struct kad_type *type,
                           const struct kad_record_meta *meta) {
  return type->republish != UINT32_MAX && meta->republish_at == KAD_TIME_NEVER;
}

/* Notes that a held record was stored again. If another host stored it first,
 * it stays that host's: it counts for its quota, lives no shorter, and is not
 * republished if that has ended. A cached copy becomes the record itself. */
static void confirm(const struct kad_node *node, const struct kad_type *type,
                    kad_record_handle handle,
                    const struct kad_record_meta *incoming) {
  struct kad_record_meta meta = *incoming;
  struct kad_held held;
  if (handle == 0 || !kad_store_read(node->store, handle, &held)) {
    return;
  }
  const struct kad_record_meta *old = &held.meta;
  const bool was_cached_copy = is_cached_copy(type, old);
  if (!kad_address_same_host(&old->origin, &meta.origin)) {
    meta.origin = was_cached_copy ? meta.origin : old->origin;
    if (old->expires_at > meta.expires_at) {
      meta.expires_at = old->expires_at;
    }
    if (old->republish_at == KAD_TIME_NEVER && !was_cached_copy) {
      meta.republish_at = KAD_TIME_NEVER;
    }
  }
  kad_store_set_meta(node->store, handle, &meta);
}

/* Returns the index of the record to replace when a key is full: the oldest of
 * the same host; else of the same subnet, so that no subnet replaces the
 * records of others with its own; else the oldest. */
static size_t pick_oldest(const struct kad_node *node,
                          const struct kad_held_list *held,
                          const struct kad_address *origin) {
  size_t oldest = held->count - 1;
  bool is_of_subnet = false;
  for (size_t i = held->count; i > 0; i--) {
    struct kad_held other;
    if (!kad_store_read(node->store, held->handles[i - 1], &other)) {
      continue;
    }
    if (kad_address_same_host(&other.meta.origin, origin)) {
      return i - 1;
    }
    if (!is_of_subnet && kad_address_same_subnet(&other.meta.origin, origin)) {
      is_of_subnet = true;
      oldest = i - 1;
    }
  }
  return oldest;
}

/* Commits without a merge hook: a record replaces the one of its chain with a
 * lower seq; other records are kept one for each value, up to max_values. */
static int commit_record(struct kad_node *node,
                         const struct kad_admission *admission,
                         const struct kad_held_list *held,
                         const char **reason) {
  const struct kad_record *record =
      &admission->request.records[admission->index];
  struct kad_record_meta meta = make_meta(node, admission, record);
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
    if (kad_record_replaces(record, other) ||
        kad_type_replaces_peer(record, other)) {
      replaced = held->handles[i];
    }
  }
  if (replaced == 0 && held->count > 0 &&
      held->count >= admission->type->max_values) {
    replaced = held->handles[pick_oldest(node, held, &meta.origin)];
  }
  return replace(node, record, &meta, replaced, reason);
}

/* Moves the records of `merged` that are not held to its front, each once, and
 * returns their number. */
static size_t move_new_to_front(struct kad_bundle *merged,
                                const struct kad_held_list *held) {
  size_t count = 0;
  for (size_t i = 0; i < merged->count; i++) {
    struct kad_record record = merged->records[i];
    if (!kad_record_is_among(held->records, held->count, &record) &&
        !kad_record_is_among(merged->records, count, &record)) {
      merged->records[i] = merged->records[count];
      merged->records[count++] = record;
    }
  }
  return count;
}

/* Clears the handles of the held records that are in `merged`. The records
 * whose handles are left have to be removed. Returns the handle of the record
 * that is identical to `incoming`, or 0. */
static kad_record_handle clear_kept(struct kad_held_list *held,
                                    const struct kad_bundle *merged,
                                    const struct kad_record *incoming) {
  kad_record_handle confirmed = 0;
  for (size_t i = 0; i < held->count; i++) {
    const struct kad_record *record = &held->records[i];
    if (!kad_record_is_among(merged->records, merged->count, record)) {
      continue;
    }
    if (kad_record_identical(record, incoming)) {
      confirmed = held->handles[i];
    }
    held->handles[i] = 0;
  }
  return confirmed;
}

/* Adds the first `count` records of `merged`, all or none. For each record of
 * its host or publisher that is removed, one new record does not count for that
 * quota. Returns 0 or a KRPC code. */
static int add_new(struct kad_node *node, const struct kad_admission *admission,
                   size_t count, const struct kad_held_list *held,
                   kad_record_handle *added, const char **reason) {
  const struct kad_record *merged = admission->merged.records;
  for (size_t i = 0; i < count; i++) {
    struct kad_record_meta meta = make_meta(node, admission, &merged[i]);
    struct kad_quota_claim claim = kad_quota_claim_of(&merged[i], &meta);
    for (size_t j = 0; j < held->count; j++) {
      kad_quota_claim_replace(&claim, node->store, held->handles[j]);
    }
    for (size_t j = 0; j < i; j++) {
      kad_quota_claim_yield(&claim, merged[j].publisher);
    }
    int code =
        add_within_quota(node, &merged[i], &meta, &claim, &added[i], reason);
    if (code != 0) {
      for (size_t j = 0; j < i; j++) {
        kad_store_remove(node->store, added[j]);
      }
      return code;
    }
  }
  return 0;
}

/* Commits the list of a merge hook. First adds what is new, then removes what
 * the hook left out, so that a list that does not fit changes nothing. */
static int commit_merged(struct kad_node *node, struct kad_admission *admission,
                         struct kad_held_list *held, const char **reason) {
  const struct kad_record *record =
      &admission->request.records[admission->index];
  struct kad_record_meta meta = make_meta(node, admission, record);
  size_t count = move_new_to_front(&admission->merged, held);
  kad_record_handle confirmed = clear_kept(held, &admission->merged, record);
  size_t size = (count + 1) * sizeof(kad_record_handle);
  kad_record_handle *added = kad_alloc(&node->env.allocator, size);
  if (added == NULL) {
    *reason = "out of memory";
    return KAD_CODE_FAILED;
  }
  int code = add_new(node, admission, count, held, added, reason);
  if (code == 0) {
    confirm(node, admission->type, confirmed, &meta);
    for (size_t i = 0; i < held->count; i++) {
      kad_commit_remove(node, held->handles[i], KAD_REASON_STORE);
    }
    evict_excess(node);
    if (count > 0 && !is_held(node, added[0])) {
      code = refuse_quota(node, reason);
    }
  }
  kad_release(&node->env.allocator, added, size);
  return code;
}

/* Returns true if a record that is not a cached copy is held. */
static bool has_original(const struct kad_node *node,
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

int kad_commit_check(const struct kad_admission *admission,
                     const struct kad_record *held, size_t count,
                     const char **reason) {
  const struct kad_admission_request *request = &admission->request;
  const struct kad_record *record = &request->records[admission->index];
  if (kad_item_kind_of(record->type) != KAD_ITEM_MUTABLE || count == 0) {
    return 0;
  }
  return kad_item_check_update(record, held,
                               request->has_cas ? &request->cas : NULL, reason);
}

/* A cached copy is stored only where there are nothing but cached copies: it
 * neither replaces the records themselves nor changes their lives. */
int kad_commit(struct kad_node *node, struct kad_admission *admission,
               const char **reason) {
  struct kad_held_list held;
  const struct kad_record *record =
      &admission->request.records[admission->index];
  if (kad_held_list_read(node, record, admission->type, &held) != 0) {
    *reason = "out of memory";
    return KAD_CODE_FAILED;
  }
  if (admission->request.reason == KAD_REASON_CACHE &&
      has_original(node, admission->type, &held)) {
    kad_held_list_free(node, &held);
    *reason = "held already";
    return KAD_CODE_REFUSED;
  }
  int code = kad_commit_check(admission, held.records, held.count, reason);
  if (code == 0) {
    code = admission->has_merged
               ? commit_merged(node, admission, &held, reason)
               : commit_record(node, admission, &held, reason);
  }
  kad_held_list_free(node, &held);
  return code;
}

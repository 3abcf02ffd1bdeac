#include "replication/publications.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "records/memory/memory_store.h"
#include "records/record.h"
#include "replication/commit.h"
#include "replication/record_check.h"
#include "replication/republish.h"

#include <string.h>

enum {
  HANDLES = 32 /* read from the store at a time */
};

/* A record of ours that is under way to its holders. */
struct errand {
  struct kad_node *node;
  kad_record_handle handle;
};

/* ------------------------------------------------------------- keeping -- */

/* Makes the store with the first record. */
static int need_store(struct kad_node *node) {
  return node->publications.store != NULL
             ? 0
             : kad_memory_store_new(&node->env.allocator, node->map_secret,
                                    &node->publications.store);
}

kad_time_ms kad_publications_period(struct kad_node *node,
                                    const struct kad_record *record) {
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  uint32_t seconds = KAD_PUBLICATION_UNKNOWN_S;
  if (type != NULL) {
    seconds = type->ttl / 2 < type->republish ? type->ttl / 2 : type->republish;
  }
  /* A fifth earlier than the holders' turn, which differs by a tenth. */
  kad_time_ms period = (kad_time_ms)seconds * KAD_MS_PER_S * 4 / 5;
  return kad_rng_jitter(node, period > KAD_MS_PER_S ? period : KAD_MS_PER_S);
}

/* Finds what `record` confirms (`*same`) or takes the place of (`*replaced`).
 * Returns 0, or KAD_EREFUSED when it is older than what is kept. */
static int find_before(const struct kad_store *store,
                       const struct kad_record *record, kad_record_handle *same,
                       kad_record_handle *replaced) {
  kad_record_handle handles[HANDLES];
  size_t skip = 0;
  size_t total;
  do {
    total = kad_store_find(store, &record->key, record->type, skip, handles,
                           HANDLES);
    for (size_t i = 0; i < HANDLES && skip + i < total; i++) {
      struct kad_held held;
      if (!kad_store_read(store, handles[i], &held)) {
        continue;
      }
      if (kad_record_identical(record, &held.record)) {
        *same = handles[i];
      } else if (kad_record_is_older(record, &held.record)) {
        return KAD_EREFUSED;
      } else if (kad_record_replaces(record, &held.record)) {
        *replaced = handles[i];
      }
    }
    skip += HANDLES;
  } while (skip < total);
  return 0;
}

/* Adds `record`, or notes that it is kept for longer. */
static int take(struct kad_node *node, const struct kad_record *record,
                const struct kad_record_meta *meta) {
  const struct kad_store *store = node->publications.store;
  kad_record_handle same = 0;
  kad_record_handle replaced = 0;
  kad_record_handle added;
  int error = find_before(store, record, &same, &replaced);
  if (error != 0) {
    return error;
  }
  if (same != 0) {
    kad_store_touch(store, same, meta);
    return 0;
  }
  if (replaced == 0 &&
      kad_store_count(store) >= node->config.max_publications) {
    return KAD_EFULL;
  }
  error = kad_store_add(store, record, meta, &added);
  if (error == 0 && replaced != 0) {
    kad_store_remove(store, replaced);
  }
  return error;
}

int kad_publications_keep(struct kad_node *node,
                          const struct kad_record *record,
                          kad_time_ms first_ms) {
  kad_time_ms now = kad_node_now(node);
  kad_time_ms life = (kad_time_ms)record->ttl * KAD_MS_PER_S;
  const struct kad_record_meta meta = {
      .stored_at = now,
      .expires_at = record->ttl > 0 ? kad_time_add(now, life) : KAD_TIME_NEVER,
      .republish_at = kad_time_add(now, first_ms),
  };
  int error =
      kad_ruleset_type(node->ruleset, record->type) != NULL ? 0 : KAD_ETYPE;
  error = error == 0 ? need_store(node) : error;
  error = error == 0 ? take(node, record, &meta) : error;
  if (error == 0) {
    node->stats.publication_changes++;
    kad_republish_plan(node);
  }
  return error;
}

void kad_publications_stop(struct kad_node *node) {
  kad_memory_store_free(node->publications.store);
  node->publications.store = NULL;
}

/* ------------------------------------------------------------ their time -- */

kad_record_handle kad_publications_due(const struct kad_node *node,
                                       kad_time_ms *at) {
  const struct kad_store *store = node->publications.store;
  kad_record_handle handle = 0;
  *at = KAD_TIME_NEVER;
  if (store != NULL) {
    handle = kad_store_due_republish(store, at);
  }
  if (handle != 0 && *at < node->publications.free_at) {
    *at = node->publications.free_at;
  }
  return handle;
}

kad_time_ms kad_publications_ends_at(const struct kad_node *node) {
  const struct kad_store *store = node->publications.store;
  kad_time_ms at = KAD_TIME_NEVER;
  if (store != NULL) {
    (void)kad_store_due_expire(store, &at);
  }
  return at;
}

void kad_publications_expire(struct kad_node *node) {
  const struct kad_store *store = node->publications.store;
  while (kad_publications_ends_at(node) <= kad_node_now(node)) {
    kad_time_ms at;
    kad_store_remove(store, kad_store_due_expire(store, &at));
    node->stats.publication_changes++;
  }
}

/* Moves the next store of a record to `after_ms` from now. */
static void postpone(struct kad_node *node, kad_record_handle handle,
                     kad_time_ms after_ms) {
  const struct kad_store *store = node->publications.store;
  struct kad_held held;
  if (store != NULL && kad_store_read(store, handle, &held)) {
    held.meta.republish_at = kad_time_add(kad_node_now(node), after_ms);
    kad_store_touch(store, handle, &held.meta);
  }
}

static void stored_again(void *data, const struct kad_result *result) {
  struct errand *errand = data;
  struct kad_node *node = errand->node;
  if (result->status == KAD_ENOCONTACTS || result->status == KAD_ETIMEOUT) {
    node->publications.free_at =
        kad_time_add(kad_node_now(node), KAD_PUBLICATION_RETRY_MS);
    postpone(node, errand->handle, KAD_PUBLICATION_RETRY_MS);
  }
  kad_release(&node->env.allocator, errand, sizeof *errand);
  kad_republish_ended(node, result->status == 0);
}

bool kad_publications_publish(struct kad_node *node, kad_record_handle handle) {
  const struct kad_store *store = node->publications.store;
  struct kad_held held;
  if (store == NULL || !kad_store_read(store, handle, &held)) {
    return false;
  }
  struct kad_record record = held.record;
  kad_time_ms end = held.meta.expires_at;
  if (end != KAD_TIME_NEVER) {
    kad_held_age(&held.meta, kad_node_now(node), &record);
  }
  struct errand *errand = kad_alloc(&node->env.allocator, sizeof *errand);
  bool begun = false;
  if (errand != NULL) {
    *errand = (struct errand){.node = node, .handle = handle};
    begun = kad_put_republish(node, &record, true, stored_again, errand) == 0;
  }
  if (!begun) {
    kad_release(&node->env.allocator, errand, sizeof *errand);
  }
  postpone(node, handle,
           begun ? kad_publications_period(node, &record)
                 : KAD_PUBLICATION_RETRY_MS);
  return begun;
}

/* ---------------------------------------------------------- for the user -- */

int kad_node_publish(struct kad_node *node, const struct kad_record *record,
                     uint32_t within_s) {
  const char *reason = NULL;
  if (node == NULL || record == NULL || record->type.len == 0) {
    return KAD_EINVAL;
  }
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  if (type == NULL) {
    return KAD_ETYPE;
  }
  int code = kad_judge(type, record, node->config.id_bits, &reason);
  if (code != 0) {
    return code == KAD_CODE_TOO_BIG     ? KAD_ETOOBIG
           : code == KAD_CODE_SIGNATURE ? KAD_ESIGNATURE
                                        : KAD_EREFUSED;
  }
  kad_time_ms within = (kad_time_ms)within_s * KAD_MS_PER_S;
  kad_time_ms first = kad_rng_below(
      node, within < UINT32_MAX ? (uint32_t)within + 1 : UINT32_MAX);
  return kad_publications_keep(node, record, first);
}

int kad_node_unpublish(struct kad_node *node, const struct kad_id *key,
                       struct kad_slice type, const struct kad_slice *value) {
  if (node == NULL || key == NULL || type.len == 0) {
    return KAD_EINVAL;
  }
  const struct kad_store *store = node->publications.store;
  int error = KAD_ENOTFOUND;
  size_t skip = 0;
  kad_record_handle handle;
  while (store != NULL &&
         kad_store_find(store, key, type, skip, &handle, 1) > skip) {
    struct kad_held held;
    if (kad_store_read(store, handle, &held) &&
        (value == NULL || kad_slice_equal(*value, held.record.value))) {
      kad_store_remove(store, handle);
      node->stats.publication_changes++;
      error = 0;
    } else {
      skip++;
    }
  }
  kad_republish_plan(node);
  return error;
}

bool kad_node_next_publication(const struct kad_node *node, uint64_t *cursor,
                               struct kad_record *record) {
  const struct kad_store *store = node->publications.store;
  struct kad_held held;
  if (store == NULL) {
    return false;
  }
  kad_record_handle handle = kad_store_next(store, cursor);
  if (handle == 0 || !kad_store_read(store, handle, &held)) {
    return false;
  }
  *record = held.record;
  if (held.meta.expires_at != KAD_TIME_NEVER) {
    kad_held_age(&held.meta, kad_node_now(node), record);
  }
  return true;
}

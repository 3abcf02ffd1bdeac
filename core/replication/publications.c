#include "replication/publications.h"

#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "records/item.h"
#include "records/memory/memory_store.h"
#include "records/record.h"
#include "replication/held.h"

enum {
  HANDLES = 32 /* read from the store at a time */
};

void kad_publications_watch(struct kad_node *node, kad_publication_fn changed,
                            void *data) {
  node->publications.changed = changed;
  node->publications.data = data;
}

static void notify(struct kad_node *node, const struct kad_record *record,
                   bool is_published) {
  const struct kad_publications *publications = &node->publications;
  node->stats.publication_changes++;
  if (publications->changed != NULL) {
    publications->changed(publications->data, record, is_published);
  }
}

/* Removes one that is unpublished or replaced. */
static void remove_held(struct kad_node *node, kad_record_handle handle) {
  const struct kad_store *store = node->publications.store;
  struct kad_held held;
  if (kad_store_read(store, handle, &held)) {
    notify(node, &held.record, false);
    kad_store_remove(store, handle);
  }
}

/* Makes the store if there is none. */
static int open_store(struct kad_node *node) {
  return node->publications.store != NULL
             ? 0
             : kad_memory_store_new(&node->env.allocator, node->map_secret,
                                    &node->publications.store);
}

/* Returns true if `record` is a mutable item that may not replace `held`. */
static bool is_outdated_item(const struct kad_record *record,
                             const struct kad_record *held) {
  const char *reason = NULL;
  return kad_item_kind_of(record->type) == KAD_ITEM_MUTABLE &&
         kad_item_check_update(record, held, NULL, &reason) != 0;
}

/* Finds the publication that `record` confirms (`*same`) or replaces
 * (`*replaced`). Returns 0, or KAD_EREFUSED if `record` is older than one. */
static int find_related(const struct kad_store *store,
                        const struct kad_record *record,
                        kad_record_handle *same, kad_record_handle *replaced) {
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
      } else if (kad_record_is_older(record, &held.record) ||
                 is_outdated_item(record, &held.record)) {
        return KAD_EREFUSED;
      } else if (kad_record_replaces(record, &held.record)) {
        *replaced = handles[i];
      }
    }
    skip += HANDLES;
  } while (skip < total);
  return 0;
}

static int add_to_store(struct kad_node *node, const struct kad_record *record,
                        const struct kad_record_meta *meta) {
  const struct kad_store *store = node->publications.store;
  kad_record_handle same = 0;
  kad_record_handle replaced = 0;
  kad_record_handle added;
  int error = find_related(store, record, &same, &replaced);
  if (error != 0) {
    return error;
  }
  if (same != 0) {
    kad_store_set_meta(store, same, meta);
    return 0;
  }
  if (replaced == 0 &&
      kad_store_count(store) >= node->config.max_publications) {
    return KAD_EFULL;
  }
  error = kad_store_add(store, record, meta, &added);
  if (error == 0 && replaced != 0) {
    remove_held(node, replaced);
  }
  return error;
}

int kad_publications_add(struct kad_node *node, const struct kad_record *record,
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
  error = error == 0 ? open_store(node) : error;
  error = error == 0 ? add_to_store(node, record, &meta) : error;
  if (error == 0) {
    notify(node, record, true);
  }
  return error;
}

int kad_publications_remove(struct kad_node *node, const struct kad_id *key,
                            struct kad_slice type,
                            const struct kad_slice *value) {
  const struct kad_store *store = node->publications.store;
  int error = KAD_ENOTFOUND;
  size_t skip = 0;
  kad_record_handle handle;
  while (store != NULL &&
         kad_store_find(store, key, type, skip, &handle, 1) > skip) {
    struct kad_held held;
    if (kad_store_read(store, handle, &held) &&
        (value == NULL || kad_slice_equal(*value, held.record.value))) {
      remove_held(node, handle);
      error = 0;
    } else {
      skip++;
    }
  }
  return error;
}

void kad_publications_expire(struct kad_node *node) {
  const struct kad_store *store = node->publications.store;
  while (kad_publications_next_expiry(node) <= kad_node_now(node)) {
    kad_time_ms at;
    kad_store_remove(store, kad_store_due_expire(store, &at));
    node->stats.publication_changes++;
  }
}

kad_time_ms kad_publications_next_expiry(const struct kad_node *node) {
  const struct kad_store *store = node->publications.store;
  kad_time_ms at = KAD_TIME_NEVER;
  if (store != NULL) {
    (void)kad_store_due_expire(store, &at);
  }
  return at;
}

kad_record_handle kad_publications_due(const struct kad_node *node,
                                       kad_time_ms *at) {
  const struct kad_store *store = node->publications.store;
  kad_record_handle handle = 0;
  *at = KAD_TIME_NEVER;
  if (store != NULL) {
    handle = kad_store_due_republish(store, at);
  }
  if (handle != 0 && *at < node->publications.retry_at) {
    *at = node->publications.retry_at;
  }
  return handle;
}

kad_time_ms kad_publications_period(struct kad_node *node,
                                    const struct kad_record *record) {
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  uint32_t seconds = KAD_PUBLICATION_PERIOD_S;
  if (type != NULL) {
    seconds = type->ttl / 2 < type->republish ? type->ttl / 2 : type->republish;
  }
  /* A fifth shorter: the period of the holders varies by a tenth. */
  kad_time_ms period = (kad_time_ms)seconds * KAD_MS_PER_S * 4 / 5;
  return kad_rng_jitter(node, period > KAD_MS_PER_S ? period : KAD_MS_PER_S);
}

void kad_publications_postpone(struct kad_node *node, kad_record_handle handle,
                               kad_time_ms after_ms) {
  const struct kad_store *store = node->publications.store;
  struct kad_held held;
  if (store != NULL && kad_store_read(store, handle, &held)) {
    held.meta.republish_at = kad_time_add(kad_node_now(node), after_ms);
    kad_store_set_meta(store, handle, &held.meta);
  }
}

bool kad_publications_read(const struct kad_node *node,
                           kad_record_handle handle,
                           struct kad_record *record) {
  const struct kad_store *store = node->publications.store;
  struct kad_held held;
  if (store == NULL || !kad_store_read(store, handle, &held)) {
    return false;
  }
  *record = held.record;
  if (held.meta.expires_at != KAD_TIME_NEVER) {
    kad_held_age(&held.meta, kad_node_now(node), record);
  }
  return true;
}

void kad_publications_stop(struct kad_node *node) {
  kad_memory_store_free(node->publications.store);
  node->publications.store = NULL;
}

#include "replication/held.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

void kad_held_age(const struct kad_record_meta *meta, kad_time_ms now,
                  struct kad_record *record) {
  kad_time_ms left = kad_time_since(now, meta->expires_at);
  kad_time_ms age = kad_time_since(meta->stored_at, now);
  record->ttl = (uint32_t)((left + KAD_MS_PER_S - 1) / KAD_MS_PER_S);
  record->age = (uint32_t)(age / KAD_MS_PER_S);
  record->is_seed = meta->is_seed;
}

/* Sets the list to no records. */
static void set_empty(struct kad_held_list *list) {
  list->records = list->few;
  list->handles = list->few_handles;
  list->count = 0;
  list->cap = 0;
}

/* Gets memory for as many records as are held. Returns 0 or KAD_ENOMEM. */
static int allocate(const struct kad_node *node, struct kad_held_list *list) {
  const struct kad_allocator *allocator = &node->env.allocator;
  list->handles = kad_alloc(allocator, list->cap * sizeof *list->handles);
  list->records = kad_alloc(allocator, list->cap * sizeof *list->records);
  if (list->handles == NULL || list->records == NULL) {
    kad_held_list_free(node, list);
    return KAD_ENOMEM;
  }
  return 0;
}

int kad_held_list_read(const struct kad_node *node,
                       const struct kad_record *record,
                       const struct kad_type *type,
                       struct kad_held_list *list) {
  const struct kad_store *store = node->store;
  size_t cap =
      type->max_values < KAD_HELD_MAX ? type->max_values : KAD_HELD_MAX;
  set_empty(list);
  size_t found = kad_store_find(store, &record->key, record->type, 0,
                                list->few_handles, KAD_HELD_FEW);
  list->cap = found < cap ? found : cap;
  if (list->cap > KAD_HELD_FEW) {
    if (allocate(node, list) != 0) {
      return KAD_ENOMEM;
    }
    (void)kad_store_find(store, &record->key, record->type, 0, list->handles,
                         list->cap);
  }
  for (size_t i = 0; i < list->cap; i++) {
    struct kad_held held;
    if (kad_store_read(store, list->handles[i], &held)) {
      list->handles[list->count] = list->handles[i];
      kad_held_age(&held.meta, kad_node_now(node), &held.record);
      list->records[list->count++] = held.record;
    }
  }
  return 0;
}

void kad_held_list_free(const struct kad_node *node,
                        struct kad_held_list *list) {
  if (list->cap > KAD_HELD_FEW) {
    kad_release(&node->env.allocator, list->handles,
                list->cap * sizeof *list->handles);
    kad_release(&node->env.allocator, list->records,
                list->cap * sizeof *list->records);
  }
  set_empty(list);
}

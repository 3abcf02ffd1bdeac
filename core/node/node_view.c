/* What a node shows to its user: contacts, held records, counters and state.
 * Tested by tests/unit/node/node_test.c. */
#include "engine/node.h"
#include "kadenza_held.h"
#include "replication/held.h"

enum {
  HANDLES = 32 /* read from the store at a time */
};

size_t kad_node_contacts(const struct kad_node *node,
                         struct kad_contact_info *out, size_t cap) {
  if (node == NULL || (out == NULL && cap > 0)) {
    return 0;
  }
  kad_time_ms now = kad_node_now(node);
  kad_time_ms ping_ms = (kad_time_ms)node->config.ping_s * KAD_MS_PER_S;
  size_t count = 0;
  const struct kad_table_entry *entry;
  struct kad_contact_cursor cursor = {0};
  while ((entry = kad_node_next_contact(node, &cursor)) != NULL) {
    if (count < cap) {
      out[count] = (struct kad_contact_info){
          .contact = entry->contact,
          .last_seen = kad_node_env_time(node, entry->last_seen),
          .rtt_ms = entry->rtt_ms,
          .failures = entry->failures,
          .good = kad_table_entry_is_good(entry, now, ping_ms),
      };
    }
    count++;
  }
  return count;
}

size_t kad_node_held(const struct kad_node *node, const struct kad_id *key,
                     struct kad_slice type, struct kad_record *out,
                     size_t cap) {
  if (node == NULL || key == NULL || (out == NULL && cap > 0)) {
    return 0;
  }
  const struct kad_store *store = node->store;
  kad_record_handle handles[HANDLES];
  size_t total = kad_store_find(store, key, type, 0, NULL, 0);
  size_t wanted = total < cap ? total : cap;
  for (size_t first = 0; first < wanted; first += HANDLES) {
    size_t count = wanted - first < HANDLES ? wanted - first : HANDLES;
    (void)kad_store_find(store, key, type, first, handles, count);
    for (size_t i = 0; i < count; i++) {
      struct kad_held held = {0};
      if (kad_store_read(store, handles[i], &held)) {
        kad_held_age(&held.meta, kad_node_now(node), &held.record);
      }
      out[first + i] = held.record;
    }
  }
  return total;
}

size_t kad_node_held_types(const struct kad_node *node,
                           struct kad_type_count *out, size_t cap) {
  if (node == NULL || (out == NULL && cap > 0)) {
    return 0;
  }
  return kad_store_types(node->store, out, cap);
}

bool kad_node_next_held(const struct kad_node *node, uint64_t *cursor,
                        struct kad_held *held) {
  if (node == NULL || cursor == NULL || held == NULL) {
    return false;
  }
  struct kad_held next = {.handle = kad_store_next(node->store, cursor)};
  if (next.handle == 0) {
    return false;
  }
  if (kad_store_read(node->store, next.handle, &next)) {
    kad_held_age(&next.meta, kad_node_now(node), &next.record);
  }
  *held = next;
  return true;
}

void kad_node_stats(const struct kad_node *node, struct kad_stats *stats) {
  if (node == NULL || stats == NULL) {
    return;
  }
  kad_time_ms now = kad_node_now(node);
  *stats = node->stats;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      stats->read_only += kad_node_is_read_only(node, kad_family_at(i));
      stats->contacts += kad_table_count(node->tables[i]);
      stats->contacts_secure += kad_table_secure(node->tables[i]);
      stats->contacts_good += kad_table_good(node->tables[i], now);
    }
    const uint64_t size =
        (uint64_t)kad_network_size_estimate(&node->network_size[i], now);
    stats->network_size =
        size > stats->network_size ? size : stats->network_size;
  }
  const struct kad_names *names = &node->maintenance.names;
  stats->names = names->count;
  for (size_t i = 0; i < names->count; i++) {
    const int status = names->items[i].status;
    stats->names_failed += status != 0 && status != KAD_EBUSY;
  }
  const size_t *waiting = node->rpc.pacer.waiting;
  stats->waiting = waiting[KAD_QUERY_CLASS_OWN] + waiting[KAD_QUERY_CLASS_USER];
  stats->pending = node->rpc.pending.count - stats->waiting;
  stats->operations = node->operations.count;
  stats->pending_hooks = node->pending_hooks.count;
  stats->signatures = node->verified.made;
  stats->signatures_known = node->verified.saved;
  stats->backlog = node->turn.backlog.count;
  stats->records = kad_store_count(node->store);
  stats->record_bytes = kad_store_bytes(node->store);
  stats->store_failures = kad_store_failures(node->store);
  stats->publications = node->publications.store == NULL
                            ? 0
                            : kad_store_count(node->publications.store);
}

const char *kad_state_name(enum kad_state state) {
  switch (state) {
  case KAD_STATE_NEW:
    return "new";
  case KAD_STATE_JOINING:
    return "joining";
  case KAD_STATE_HEALTHY:
    return "healthy";
  case KAD_STATE_DEGRADED:
    return "degraded";
  case KAD_STATE_ISOLATED:
    return "isolated";
  }
  return "unknown";
}

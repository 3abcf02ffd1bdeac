/* A routing table round another id.
 *
 * Tested by tests/unit/routing/table_move_test.c. */
#include "routing/table_buckets.h"

/* Adds a contact of another table with what is known about it. Returns 0, also
 * if there is no place for it, or KAD_ENOMEM. */
static int add_entry(struct kad_table *table,
                     const struct kad_table_entry *entry) {
  const struct kad_table_entry *probe = NULL;
  const int error = kad_table_add(table, &entry->contact, entry->rtt_ms,
                                  entry->last_seen, &probe);
  struct kad_table_entry *added =
      error == 0 ? kad_table_entry(table, &entry->contact.id) : NULL;
  if (added != NULL) {
    added->failures = entry->failures;
    added->last_queried = entry->last_queried;
    table->bad += kad_table_entry_is_bad(added);
    table->good_until = 0;
  }
  return error == KAD_ENOMEM ? error : 0;
}

/* Adds the contacts of `old` that have left a query unanswered since they last
 * answered, or the others. */
static int add_entries(struct kad_table *table, const struct kad_table *old,
                       bool failed) {
  size_t bucket = 0;
  size_t slot = 0;
  int error = 0;
  const struct kad_table_entry *entry;
  while (error == 0 && (entry = kad_table_next(old, &bucket, &slot)) != NULL) {
    if ((entry->failures > 0) == failed) {
      error = add_entry(table, entry);
    }
  }
  return error;
}

static int add_replacements(struct kad_table *table,
                            const struct kad_table *old) {
  int error = 0;
  for (size_t i = 0; i < old->bucket_count; i++) {
    const struct kad_replacement_cache *cache = &old->buckets[i].replacements;
    for (size_t j = 0; j < cache->count && error == 0; j++) {
      struct kad_table_entry entry;
      kad_replacement_cache_get(cache, j, &entry);
      error = add_entry(table, &entry);
    }
  }
  return error;
}

int kad_table_move(const struct kad_table *old, const struct kad_id *self,
                   kad_time_ms now, struct kad_table **table) {
  struct kad_table_config config = old->config;
  struct kad_table *made = NULL;
  config.self = *self;
  int error = kad_table_new(&config, &old->allocator, now, &made);
  error = error == 0 ? add_entries(made, old, false) : error;
  error = error == 0 ? add_replacements(made, old) : error;
  error = error == 0 ? add_entries(made, old, true) : error;
  if (error != 0) {
    kad_table_free(made);
    return error;
  }
  *table = made;
  return 0;
}

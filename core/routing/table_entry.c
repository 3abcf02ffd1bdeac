#include "routing/table_entry.h"

#include "base/time.h"

bool kad_table_entry_is_good(const struct kad_table_entry *entry,
                             kad_time_ms now, kad_time_ms ping_ms) {
  return entry->failures == 0 &&
         kad_time_since(entry->last_seen, now) < ping_ms;
}

bool kad_table_entry_is_bad(const struct kad_table_entry *entry) {
  return entry->failures >= KAD_FAILURES_BAD;
}

bool kad_table_entry_is_faster(const struct kad_table_entry *a,
                               const struct kad_table_entry *b) {
  return a->rtt_ms != 0 && (b->rtt_ms == 0 || a->rtt_ms < b->rtt_ms);
}

bool kad_table_entry_is_staler(const struct kad_table_entry *a,
                               const struct kad_table_entry *b) {
  if (a->last_seen != b->last_seen) {
    return a->last_seen < b->last_seen;
  }
  return kad_table_entry_is_faster(b, a);
}

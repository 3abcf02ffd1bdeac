/* A contact in the routing table or in a replacement cache, and what its times
 * say about it.
 *
 * Tested by tests/unit/routing/table_test.c. */
#ifndef KAD_ROUTING_TABLE_ENTRY_H
#define KAD_ROUTING_TABLE_ENTRY_H

#include "base/time.h"

enum {
  KAD_FAILURES_BAD = 2, /* unanswered queries that make a contact bad */
  KAD_HOLE_MS = 125000  /* a NAT has closed a hole by then: RFC 4787 demands two
                           minutes, and most have less */
};

struct kad_table_entry {
  struct kad_contact contact;
  uint16_t rtt_ms;          /* smoothed; 0: unknown; saturates */
  uint8_t failures;         /* queries unanswered since it last answered */
  bool is_secure : 1;       /* its id fits its address, or it need not */
  bool reachable : 1;       /* it has answered a query from cold */
  kad_time_ms last_seen;    /* last answer, or a query from it after that */
  kad_time_ms last_queried; /* last query to it; 0: never */
};

/* Returns true if the contact was seen less than `ping_ms` ago and has left no
 * query unanswered since it last answered. Source: BEP 5 "Routing Table". */
static inline bool kad_table_entry_is_good(const struct kad_table_entry *entry,
                                           kad_time_ms now,
                                           kad_time_ms ping_ms) {
  return entry->failures == 0 &&
         kad_time_since(entry->last_seen, now) < ping_ms;
}

/* Returns true if the contact left KAD_FAILURES_BAD queries in a row
 * unanswered. A contact that is neither good nor bad is questionable. */
static inline bool kad_table_entry_is_bad(const struct kad_table_entry *entry) {
  return entry->failures >= KAD_FAILURES_BAD;
}

/* Returns true if we have not heard from the contact for so long that no NAT
 * still lets us in because of that: a query to it is from cold. */
static inline bool kad_table_entry_is_cold(const struct kad_table_entry *entry,
                                           kad_time_ms now) {
  return kad_time_since(entry->last_seen, now) >= KAD_HOLE_MS;
}

/* Returns true if the round-trip time of `a` is known and lower. */
static inline bool kad_table_entry_is_faster(const struct kad_table_entry *a,
                                             const struct kad_table_entry *b) {
  return a->rtt_ms != 0 && (b->rtt_ms == 0 || a->rtt_ms < b->rtt_ms);
}

/* Returns true if `a` was seen longer ago; among equals, if `b` is faster. */
static inline bool kad_table_entry_is_staler(const struct kad_table_entry *a,
                                             const struct kad_table_entry *b) {
  if (a->last_seen != b->last_seen) {
    return a->last_seen < b->last_seen;
  }
  return kad_table_entry_is_faster(b, a);
}

#endif

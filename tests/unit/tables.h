/* A routing table for tests: our id is all zeros, contacts are made by where
 * they go, each in a subnet of its own, and time is set by hand.
 *
 *     struct kad_tables it;
 *     kad_tables_begin(&it, 160, 4);
 *     assert_ok(kad_tables_add(&it, 0, 1));
 *     kad_tables_end(&it);
 */
#ifndef KAD_TABLES_H
#define KAD_TABLES_H

#include "counting_allocator.h"
#include "overlay/table.h"

enum {
  KAD_TABLES_K = 8,
  KAD_TABLES_PING_MS = 15 * 60 * 1000
};

struct kad_tables {
  struct kad_counting_allocator counting;
  struct kad_table_config config;
  struct kad_table *table;
  kad_time_ms now;               /* begins at 1 s */
  const struct kad_entry *probe; /* of the last addition */
};

/* Makes an empty table of k = 8. */
void kad_tables_begin(struct kad_tables *it, unsigned id_bits, unsigned family);

/* Makes the table anew with the config as it is now. */
void kad_tables_restart(struct kad_tables *it);

/* Frees it and checks that no memory is left. */
void kad_tables_end(struct kad_tables *it);

/* Makes the contact `number` (0 … 255) that shares exactly `prefix` bits (0 …
 * 127) with us, at an address and in a subnet that no other one has. */
struct kad_contact kad_tables_contact(const struct kad_tables *it,
                                      unsigned prefix, unsigned number);

/* Adds that contact with a round-trip time of 100 ms, or any one with any.
 * Returns what kad_table_add does. */
int kad_tables_add(struct kad_tables *it, unsigned prefix, unsigned number);
int kad_tables_add_contact(struct kad_tables *it,
                           const struct kad_contact *contact, uint32_t rtt_ms);

/* Adds the contacts 0 … `count` - 1 of `prefix`, one a second. */
void kad_tables_fill(struct kad_tables *it, unsigned prefix, unsigned count);

/* Lets the contact leave `count` queries unanswered. */
void kad_tables_fail(struct kad_tables *it, unsigned prefix, unsigned number,
                     unsigned count);

/* Returns the entry of that contact, NULL if it is not in the table. */
const struct kad_entry *kad_tables_find(const struct kad_tables *it,
                                        unsigned prefix, unsigned number);

/* Returns whether kad_table_closest hands it out. */
bool kad_tables_hands_out(const struct kad_tables *it, unsigned prefix,
                          unsigned number);

#endif

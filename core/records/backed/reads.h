/* Copies of the records that were read from a backend. A copy is valid until
 * the store changes; without changes, at least KAD_VALUES_MAX records can be
 * read before it is freed, which is more than the engine borrows at a time.
 * Tested by tests/unit/records/backed/backed_store_test.c. */
#ifndef KAD_RECORDS_BACKED_READS_H
#define KAD_RECORDS_BACKED_READS_H

#include "records/store.h"

enum {
  KAD_READS_MAX = 2 * KAD_VALUES_MAX,
  KAD_READS_RECENT = 256 /* places for copies that can be found again */
};

struct kad_read;

/* Zero-initialised it is empty. */
struct kad_reads {
  struct kad_read *oldest;
  struct kad_read *newest;
  size_t count;
  struct kad_read *recent[KAD_READS_RECENT]; /* by handle */
};

/* Returns the copy of the record `handle`, or NULL if there is none. */
const struct kad_record *kad_reads_find(const struct kad_reads *reads,
                                        kad_record_handle handle);

/* Copies `record`, without its type. Returns NULL when out of memory. */
const struct kad_record *kad_reads_add(struct kad_reads *reads,
                                       const struct kad_allocator *allocator,
                                       kad_record_handle handle,
                                       const struct kad_record *record);

/* Frees all copies. */
void kad_reads_clear(struct kad_reads *reads,
                     const struct kad_allocator *allocator);

#endif

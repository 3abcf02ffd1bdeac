/* Reading what is held under a key.
 *
 * Tested by tests/unit/replication/commit_test.c.
 */
#ifndef KAD_REPLICATION_HELD_H
#define KAD_REPLICATION_HELD_H

#include "records/store.h"

enum {
  KAD_HELD_MAX = KAD_VALUES_MAX, /* records of a type and key that are read */
  KAD_HELD_FEW = 4               /* records that need no memory */
};

/* The records of one type under one key, newest first, with `ttl` and `age`
 * set. Their slices borrow the store until its next change. Must not move. */
struct kad_held_list {
  struct kad_record *records;
  kad_record_handle *handles;
  size_t count;
  size_t cap; /* of both arrays */
  struct kad_record few[KAD_HELD_FEW];
  kad_record_handle few_handles[KAD_HELD_FEW];
};

/* Reads the records with the key and the type of `record`. `type` is the type
 * of `record`. Free the list with kad_held_list_free. Returns 0 or KAD_ENOMEM.
 */
KAD_MUST_CHECK int kad_held_list_read(const struct kad_node *node,
                                      const struct kad_record *record,
                                      const struct kad_type *type,
                                      struct kad_held_list *list);

/* Frees a list; it is empty then. */
void kad_held_list_free(const struct kad_node *node,
                        struct kad_held_list *list);

/* Sets `ttl`, `age` and `is_seed` of a record from its meta. */
void kad_held_age(const struct kad_record_meta *meta, kad_time_ms now,
                  struct kad_record *record);

#endif

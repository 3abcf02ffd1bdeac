/* Between the engine and the store: what is held under a key, what takes the
 * place of what, and who is told. */
#ifndef KAD_REPLICATION_COMMIT_H
#define KAD_REPLICATION_COMMIT_H

#include "replication/admission.h"

/* The records of one type under one key, newest first, with `ttl` and `age`
 * filled in. Their slices borrow the store until its next change. */
struct kad_held_list {
  struct kad_record *records;
  kad_record_handle *handles;
  size_t count;
  size_t cap; /* of both arrays */
};

/* Reads what is held under the key of `record`. Free it with kad_held_free.
 * Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_held_read(const struct kad_node *node,
                                 const struct kad_record *record,
                                 const struct kad_type *type,
                                 struct kad_held_list *held);
void kad_held_free(const struct kad_node *node, struct kad_held_list *held);

/* Fills in `ttl` and `age` of a record from its meta. */
void kad_held_age(const struct kad_record_meta *meta, kad_time_ms now,
                  struct kad_record *record);

/* Puts the current record of `admission`, or the list that its merge hook gave,
 * into the store. Returns 0, or the code of a KRPC error with `*reason`. */
int kad_commit(struct kad_node *node, struct kad_admission *admission,
               const char **reason);

/* Drops a held record (0: none), and tells its type's `dropped` hook why. */
void kad_commit_remove(struct kad_node *node, kad_record_handle handle,
                       enum kad_reason reason);

#endif

/* Commit: what admission has accepted enters the store. Decides which held
 * records it replaces and which are evicted for it. */
#ifndef KAD_REPLICATION_COMMIT_H
#define KAD_REPLICATION_COMMIT_H

#include "records/store.h"

struct kad_admission;

/* Stores the current record of `admission`, or the list that its merge hook has
 * returned. The caller calls kad_republish_plan then. Returns 0, or the code of
 * a KRPC error, with `*reason` set to a static text. */
int kad_commit(struct kad_node *node, struct kad_admission *admission,
               const char **reason);

/* Checks that the current record of `admission` may replace the `count` records
 * that are held: of mutable items the sequence number decides, before any hook.
 * Returns 0, or the code of a KRPC error, with `*reason` set to a static text.
 */
int kad_commit_check(const struct kad_admission *admission,
                     const struct kad_record *held, size_t count,
                     const char **reason);

/* Removes a held record (0: none), and calls its type's `dropped` hook with
 * `reason`. */
void kad_commit_remove(struct kad_node *node, kad_record_handle handle,
                       enum kad_reason reason);

#endif

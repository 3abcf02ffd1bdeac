/* What get and get_peers share: they begin with what is held here, look up the
 * rest, and pass what they find through the hooks of its type. They are in a
 * hurry unless the node reads for itself, or wants the values of all k closest.
 *
 * Tested by tests/unit/operations/get_test.c.
 */
#ifndef KAD_OPERATIONS_READ_H
#define KAD_OPERATIONS_READ_H

#include "operations/operation.h"

/* The first member of such an operation. */
struct kad_read {
  struct kad_operation op;
  struct kad_ruleset *ruleset; /* retained; NULL before the start */
  const struct kad_type *type;
  size_t index; /* of the record that is processed */
};

/* Adds a record that is held here to what the read has found. */
typedef void (*kad_read_add_fn)(struct kad_node *node, struct kad_read *read,
                                const struct kad_record *record);

/* Starts a read: calls `add` for each record of `type` that is held here, then
 * starts the lookups, unless that is enough. Ends it with KAD_ETYPE if there is
 * no such type. */
void kad_read_start(struct kad_node *node, struct kad_read *read,
                    struct kad_slice type, kad_read_add_fn add);

/* Calls a hook of the type with `call`. See kad_operation_call_hook. */
bool kad_read_call_hook(struct kad_node *node, struct kad_read *read,
                        kad_hook_fn hook, struct kad_hook_call *call);

/* Frees what kad_read_start has taken. */
void kad_read_stop(struct kad_node *node, struct kad_read *read);

#endif

/* The size of a record in datagrams: whether it can be stored and read, and how
 * many records fit into one store.
 *
 * Tested by tests/unit/node/readable_test.c.
 */
#ifndef KAD_RPC_RECORD_SIZE_H
#define KAD_RPC_RECORD_SIZE_H

#include "kadenza.h"

/* Returns true if a store with `record` alone, and a reply with `record` alone,
 * have at most max_reply bytes, whatever the query is, the address of the
 * reader and the life that is left. The node's codec tells. */
bool kad_record_is_readable(struct kad_node *node,
                            const struct kad_record *record);

/* Returns the bytes that max_size of a type may have, as kad_node_value_room.
 */
size_t kad_record_value_room(const struct kad_node *node);

/* Returns the bytes for records in a store of several. */
size_t kad_record_store_room(const struct kad_node *node);

#endif

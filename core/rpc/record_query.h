/* The queries that read and store records: find_value and store, and for items
 * get and put of BEP 44.
 *
 * Tested by tests/unit/node/reply_item_test.c, tests/sim/item_test.c. */
#ifndef KAD_RPC_RECORD_QUERY_H
#define KAD_RPC_RECORD_QUERY_H

#include "kadenza_codec.h"

/* Returns the method of queries for records of `type`. */
enum kad_method_id kad_record_read_method(struct kad_slice type);

/* Returns the number of records of `type` in the reply to such a query: all
 * records of the reply, or none. */
size_t kad_record_reply_count(const struct kad_message *reply,
                              struct kad_slice type);

/* Makes `message`, which has a target, a token, `why` and at least one record,
 * the query that stores records of `type`; a put has the first record only.
 * `knows_ttl`: the receiver's reply to a get had `total`, so that it knows
 * `ttl` and `why`. */
void kad_record_write_store(struct kad_message *message, struct kad_slice type,
                            bool knows_ttl);

/* Returns true if `message`, the reply to such a store, says that it was
 * successful. */
bool kad_record_was_stored(const struct kad_message *reply);

#endif

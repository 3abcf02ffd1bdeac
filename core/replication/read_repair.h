/* Read repair: after a get has validated and merged what it found, sends the
 * records to contacts that lack them.
 *
 * Of the k closest contacts, which should hold the records, each gets those
 * that it has not returned. Their reason is `republish`, so that the holder
 * keeps the full life and not a cached copy. The closest contact that returned
 * none and gets no repair gets a cached copy, whose life is halved for each
 * contact between it and the k closest. The get does not wait for these stores.
 * They are sent once, within the store budget. Source: Kademlia §2.3.
 *
 * Tested by tests/sim/read_repair_test.c.
 */
#ifndef KAD_REPLICATION_READ_REPAIR_H
#define KAD_REPLICATION_READ_REPAIR_H

#include "lookup/lookup.h"
#include "replication/found_records.h"

enum {
  KAD_CACHE_MIN_S = 10 /* a cached copy with a shorter life is not sent */
};

/* What is sent. Borrowed during the call. */
struct kad_read_repair {
  const struct kad_id *target;
  const struct kad_type *type;
  const struct kad_record *records; /* merged, before the selection; `ttl` is
                                       the life that is left, 0: unknown */
  size_t count;
  const struct kad_found_records *found;
};

/* Sends the records to the contacts that `lookup` has found. It has ended. */
void kad_read_repair_send(struct kad_node *node,
                          const struct kad_read_repair *repair,
                          const struct kad_lookup *lookup);

#endif

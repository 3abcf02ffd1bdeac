/* Storing a record, or announcing a peer. Our own rules come first, so that a
 * mistake is reported without any traffic. Then a lookup collects write tokens,
 * and a fan-out stores at the k closest contacts that gave one. If we are one
 * of the k closest, the record is stored here as well.
 * Source: Kademlia §2.3; BEP 5 "announce_peer". */
#ifndef KAD_OPERATIONS_PUT_H
#define KAD_OPERATIONS_PUT_H

#include "kadenza.h"

/* Starts a put that republishes `record` at its k closest, within the store
 * budget. A held record stays as it is here; a `publication` is stored here as
 * well. `done` is called as for kad_node_put. Returns its errors. */
KAD_MUST_CHECK int kad_put_republish(struct kad_node *node,
                                     const struct kad_record *record,
                                     bool publication, kad_done_fn done,
                                     void *data);

#endif

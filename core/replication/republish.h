/* Records whose time has come: they expire, or are stored again at the k
 * closest. Source: Kademlia §2.5. */
#ifndef KAD_REPLICATION_REPUBLISH_H
#define KAD_REPLICATION_REPUBLISH_H

#include "records/store.h"

struct kad_node;

/* Sets the timers for the next record that expires or is republished. */
void kad_republish_plan(struct kad_node *node);

/* Notes that a record was stored again, or could not be. */
void kad_republish_ended(struct kad_node *node, bool well);

#endif

/* Counts what each host sends, in a table of fixed size: see kadenza_talkers.h.
 *
 *     kad_talkers_note(node, &from, datagram.len);    for each datagram
 *     kad_talkers_drop(node, &from);                  when it is dropped
 *
 * Both cost one test while nothing is counted.
 *
 * Tested by tests/unit/rpc/talkers_test.c. */
#ifndef KAD_RPC_TALKERS_H
#define KAD_RPC_TALKERS_H

#include "kadenza_talkers.h"

struct kad_talkers;

/* Counts a datagram of `bytes` that `from` has sent. */
void kad_talkers_note(struct kad_node *node, const struct kad_address *from,
                      size_t bytes);

/* Counts that a datagram of `from` was dropped. */
void kad_talkers_drop(struct kad_node *node, const struct kad_address *from);

/* Ends the counting, before the node is freed. */
void kad_talkers_stop(struct kad_node *node);

#endif

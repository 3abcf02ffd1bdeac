/* What the node does on the events of its rooms: see engine/events.h.
 *
 * Tested by tests/unit/rpc/rpc_test.c, tests/unit/membership, tests/unit/sim.
 */
#ifndef KAD_NODE_EVENTS_H
#define KAD_NODE_EVENTS_H

#include "engine/events.h"

extern const struct kad_events kad_node_events;

#endif

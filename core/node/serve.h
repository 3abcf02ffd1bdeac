/* Serves queries of other nodes: calls the hooks of the policy, and replies. */
#ifndef KAD_NODE_SERVE_H
#define KAD_NODE_SERVE_H

#include "node/reply.h"

/* Serves a query within the rate limits, perhaps in a later turn: calls
 * on_request, replies according to its verdict, and has the sender verified. */
void kad_serve_query(struct kad_node *node,
                     const struct kad_incoming *incoming);

#endif

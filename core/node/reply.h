/* The answers to the queries that the core serves itself. */
#ifndef KAD_NODE_REPLY_H
#define KAD_NODE_REPLY_H

#include "node/serve.h"

/* Answers a ping. Source: BEP 5 "ping". */
void kad_reply_ping(struct kad_node *node, const struct kad_incoming *incoming);

/* Answers with the contacts closest to a target. Source: BEP 5, 32. */
void kad_reply_find_node(struct kad_node *node,
                         const struct kad_incoming *incoming);

/* Answers with peers, the closest contacts and a token. Source: BEP 5. */
void kad_reply_get_peers(struct kad_node *node,
                         const struct kad_incoming *incoming);

/* Takes a peer in. Source: BEP 5 "announce_peer". */
void kad_reply_announce_peer(struct kad_node *node,
                             const struct kad_incoming *incoming);

/* Answers with a page of records, the closest contacts and a token. */
void kad_reply_find_value(struct kad_node *node,
                          const struct kad_incoming *incoming);

/* Takes records in. */
void kad_reply_store(struct kad_node *node,
                     const struct kad_incoming *incoming);

/* Answers a custom query with `body`, a bencoded dictionary or nothing, and the
 * contacts closest to the target that it may name. */
void kad_reply_custom(struct kad_node *node,
                      const struct kad_incoming *incoming,
                      struct kad_slice body);

#endif

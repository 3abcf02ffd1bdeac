/* Replies to queries of other nodes. */
#ifndef KAD_NODE_REPLY_H
#define KAD_NODE_REPLY_H

#include "node/reply_bound.h"

enum {
  KAD_REPLY_MAX = 1024,     /* bytes of a reply to find_node or get_peers */
  KAD_REPLY_MAX_WIDE = 1232 /* the same with ids of more than 160 bits */
};

/* Replies to a ping. Source: BEP 5 "ping". */
void kad_reply_ping(struct kad_node *node, const struct kad_incoming *incoming);

/* Replies with the contacts closest to the target. Source: BEP 5, 32. */
void kad_reply_find_node(struct kad_node *node,
                         const struct kad_incoming *incoming);

/* Replies with peers, the closest contacts and a token. Source: BEP 5. */
void kad_reply_get_peers(struct kad_node *node,
                         const struct kad_incoming *incoming);

/* Replies with a sample of the info hashes held, and the closest contacts.
 * Source: BEP 51. */
void kad_reply_sample(struct kad_node *node,
                      const struct kad_incoming *incoming);

/* Stores a peer and replies. Source: BEP 5 "announce_peer". */
void kad_reply_announce_peer(struct kad_node *node,
                             const struct kad_incoming *incoming);

/* Replies with a page of records, the closest contacts and a token. */
void kad_reply_find_value(struct kad_node *node,
                          const struct kad_incoming *incoming);

/* Stores records and replies. */
void kad_reply_store(struct kad_node *node,
                     const struct kad_incoming *incoming);

/* Replies with the item of the target, the closest contacts and a token.
 * Source: BEP 44 "get message". */
void kad_reply_get(struct kad_node *node, const struct kad_incoming *incoming);

/* Stores an item and replies. Source: BEP 44 "put message". */
void kad_reply_put(struct kad_node *node, const struct kad_incoming *incoming);

/* Replies to a custom query with `body`, a bencoded dictionary or empty, and
 * the contacts closest to the target that the query may have. */
void kad_reply_custom(struct kad_node *node,
                      const struct kad_incoming *incoming,
                      struct kad_slice body);

#endif

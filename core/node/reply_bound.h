/* How large a reply may be, and the one way to send a reply or an error.
 *
 * The address of a query may be forged. So until it has proven that it receives
 * what is sent to it, a reply has at most KAD_AMPLIFICATION_MAX times the bytes
 * of its query, whatever the method is, and so has an error. An address proves
 * it with a reply to a query of ours (rpc/proven_addresses.h), or with a token
 * that we sent there.
 *
 * Tested by tests/unit/node/amplification_test.c. */
#ifndef KAD_NODE_REPLY_BOUND_H
#define KAD_NODE_REPLY_BOUND_H

#include "wire/message.h"

enum {
  KAD_AMPLIFICATION_MAX = 6 /* bytes of a reply for each byte of the query, if
                               the address of the sender is not proven */
};

/* A query with its sender. Borrowed until the call returns. */
struct kad_incoming {
  struct kad_contact from;
  struct kad_slice datagram; /* opened, if the node is sealed */
  const struct kad_message *message;
};

/* Where a reply goes, and how large it may be. */
struct kad_reply_bound {
  struct kad_address to;
  size_t max;  /* bytes of the message */
  bool is_cut; /* the address is not proven, else `max` were larger */
};

/* Returns the bound of the reply to `incoming`, which has at most `max` bytes
 * in any case. */
struct kad_reply_bound kad_reply_bound_of(const struct kad_node *node,
                                          const struct kad_incoming *incoming,
                                          size_t max);

/* Returns the bound of an error in reply to `incoming`. */
struct kad_reply_bound kad_reply_bound_of_error(
    const struct kad_node *node, const struct kad_incoming *incoming);

/* Sends `reply`, a reply, within the bound and `max` bytes. Returns as
 * kad_datagram_send_within does. */
KAD_MUST_CHECK int kad_reply_bound_send(struct kad_node *node,
                                        const struct kad_reply_bound *bound,
                                        struct kad_message *reply, size_t max);

/* Replies to the query `transaction` with an error. Sends at most the first 200
 * bytes of `text`, and fewer if the bound demands it. */
void kad_reply_error(struct kad_node *node, const struct kad_reply_bound *bound,
                     struct kad_slice transaction, int code,
                     struct kad_slice text);

/* Replies to `incoming` with an error that has a token. The sender proves its
 * address with it, when it sends the query again. */
void kad_reply_challenge(struct kad_node *node,
                         const struct kad_incoming *incoming);

#endif

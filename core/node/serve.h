/* Answering what other nodes ask. */
#ifndef KAD_NODE_SERVE_H
#define KAD_NODE_SERVE_H

#include "wire/message.h"

struct kad_node;

/* A query as it came. Borrowed until the call returns. */
struct kad_incoming {
  struct kad_contact from;
  struct kad_slice datagram;
  const struct kad_message *message;
};

/* Serves a query that passed the limits: asks the policy's on_request, answers,
 * and has the sender verified. */
void kad_serve(struct kad_node *node, const struct kad_incoming *incoming);

/* Answers the query `transaction` of `to` with an error. `text` is cut to 200
 * bytes. */
void kad_serve_error(struct kad_node *node, const struct kad_address *to,
                     struct kad_slice transaction, int code,
                     struct kad_slice text);

#endif

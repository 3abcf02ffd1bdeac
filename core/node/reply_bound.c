#include "node/reply_bound.h"

#include "engine/node.h"
#include "rpc/datagram.h"

enum {
  ERROR_TEXT_MAX = 200, /* bytes */
  ERROR_MAX = 330       /* at least the bytes of an error */
};

/* Returns true if the sender receives what is sent to its address. */
static bool is_proven(const struct kad_node *node,
                      const struct kad_incoming *incoming) {
  const struct kad_message *query = incoming->message;
  const kad_time_ms now = kad_node_now(node);
  return kad_proven_addresses_has(&node->proven, &incoming->from.address,
                                  now) ||
         kad_node_is_proven(node, &incoming->from) ||
         (query->token.len > 0 &&
          kad_token_check(&node->tokens, &incoming->from.address,
                          &query->target, now, query->token));
}

struct kad_reply_bound kad_reply_bound_of(const struct kad_node *node,
                                          const struct kad_incoming *incoming,
                                          size_t max) {
  /* The bytes on the wire count: sealing adds to the query and to the reply. */
  const size_t overhead = kad_sealing_overhead(node);
  const size_t bounded =
      KAD_AMPLIFICATION_MAX * (incoming->datagram.len + overhead) - overhead;
  const size_t room = kad_datagram_room(node);
  max = max < room ? max : room;
  const bool is_cut = bounded < max && !is_proven(node, incoming);
  return (struct kad_reply_bound){.to = incoming->from.address,
                                  .max = is_cut ? bounded : max,
                                  .is_cut = is_cut};
}

struct kad_reply_bound kad_reply_bound_of_error(
    const struct kad_node *node, const struct kad_incoming *incoming) {
  return kad_reply_bound_of(node, incoming, ERROR_MAX);
}

int kad_reply_bound_send(struct kad_node *node,
                         const struct kad_reply_bound *bound,
                         struct kad_message *reply, size_t max) {
  return kad_datagram_send_within(node, &bound->to, reply,
                                  max < bound->max ? max : bound->max);
}

/* Shortens the text of `error` to what the bound has room for. If there is none
 * without a text, leaves out the observed address, too. */
static void shorten_error(struct kad_node *node,
                          const struct kad_reply_bound *bound,
                          struct kad_message *error) {
  size_t size = 0;
  if (kad_datagram_measure(node, error, &size) != 0 || size <= bound->max) {
    return;
  }
  const size_t over = size - bound->max;
  if (over > error->text.len) {
    error->observed.family = 0;
    error->text.len = 0;
  } else {
    error->text.len -= over;
  }
}

static void send_error(struct kad_node *node,
                       const struct kad_reply_bound *bound,
                       struct kad_message *error) {
  int status = kad_datagram_send_within(node, &bound->to, error, bound->max);
  if (status == KAD_ETOOBIG) {
    shorten_error(node, bound, error);
    status = kad_datagram_send_within(node, &bound->to, error, bound->max);
  }
  node->stats.refused++;
  kad_tally_error(node->tallies.errors_sent, error->code);
  node->stats.unsent += status != 0;
}

static void init_error(struct kad_message *error,
                       const struct kad_reply_bound *bound,
                       struct kad_slice transaction, int code,
                       struct kad_slice text) {
  kad_message_init(error, KAD_MESSAGE_ERROR);
  error->transaction = transaction;
  error->observed = bound->to;
  error->code = code;
  error->text = text;
  error->text.len = text.len < ERROR_TEXT_MAX ? text.len : ERROR_TEXT_MAX;
}

void kad_reply_error(struct kad_node *node, const struct kad_reply_bound *bound,
                     struct kad_slice transaction, int code,
                     struct kad_slice text) {
  struct kad_message error;
  init_error(&error, bound, transaction, code, text);
  send_error(node, bound, &error);
}

void kad_reply_challenge(struct kad_node *node,
                         const struct kad_incoming *incoming) {
  const struct kad_reply_bound bound = kad_reply_bound_of_error(node, incoming);
  uint8_t token[KAD_TOKEN_SIZE];
  struct kad_message error;
  init_error(&error, &bound, incoming->message->transaction, KAD_CODE_PROTOCOL,
             kad_slice_of("send the query again with this token"));
  kad_token_make(&node->tokens, &incoming->from.address,
                 &incoming->message->target, kad_node_now(node), token);
  error.token = (struct kad_slice){.data = token, .len = sizeof token};
  node->stats.challenged++;
  send_error(node, &bound, &error);
}

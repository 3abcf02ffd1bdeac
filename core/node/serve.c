#include "node/serve.h"

#include "base/allocator.h"
#include "engine/node.h"
#include "node/reply.h"
#include "rpc/datagram.h"

#include <string.h>

enum {
  REASON_MAX = 200
};

/* A query that waits for the policy: the datagram, to be read again. */
struct held_query {
  struct kad_address from;
  size_t len; /* bytes of `datagram` */
  uint8_t datagram[];
};

void kad_serve_error(struct kad_node *node, const struct kad_address *to,
                     struct kad_slice transaction, int code,
                     struct kad_slice text) {
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_ERROR);
  reply.transaction = transaction;
  reply.observed = *to;
  reply.code = code;
  reply.text = text;
  reply.text.len = text.len < REASON_MAX ? text.len : REASON_MAX;
  node->stats.refused++;
  (void)kad_datagram_send(node, to, &reply);
}

static void refuse(struct kad_node *node, const struct kad_incoming *incoming,
                   int code, struct kad_slice text) {
  kad_serve_error(node, &incoming->from.address, incoming->message->transaction,
                  code, text);
}

static void hold_query_end(struct kad_node *node, struct held_query *query) {
  kad_release(&node->env.allocator, query, sizeof *query + query->len);
}

/* Copies a query. NULL when out of memory. */
static struct held_query *hold_query(struct kad_node *node,
                                     const struct kad_incoming *incoming) {
  size_t len = incoming->datagram.len;
  struct held_query *query =
      kad_alloc(&node->env.allocator, sizeof *query + len);
  if (query == NULL) {
    return NULL;
  }
  query->from = incoming->from.address;
  query->len = len;
  memcpy(query->datagram, incoming->datagram.data, len);
  return query;
}

/* Reads a held query again, into memory of the caller's. Returns false when the
 * codec has changed, or is one that does not always say the same: the query
 * cannot be answered then. */
static bool reread(struct kad_node *node, const struct held_query *query,
                   void *scratch, struct kad_message *message,
                   struct kad_incoming *incoming) {
  incoming->datagram =
      (struct kad_slice){.data = query->datagram, .len = query->len};
  if (kad_datagram_read(node, incoming->datagram, scratch, message) != 0 ||
      message->kind != KAD_MESSAGE_QUERY) {
    node->stats.dropped_malformed++;
    return false;
  }
  incoming->from.address = query->from;
  incoming->from.id = message->id;
  incoming->message = message;
  return true;
}

/* Answers a custom query with what its method said. */
static void answer_method(struct kad_node *node,
                          const struct kad_incoming *incoming,
                          const struct kad_hook_result *answer) {
  if (answer->verdict == KAD_VERDICT_ACCEPT) {
    kad_reply_custom(node, incoming, answer->reply);
  } else if (answer->verdict == KAD_VERDICT_REJECT) {
    int code = answer->code != 0 ? answer->code : KAD_CODE_REFUSED;
    refuse(node, incoming, code, answer->reason);
  } else {
    refuse(node, incoming, KAD_CODE_FAILED, kad_slice_of("the policy failed"));
  }
}

static void resume_method(struct kad_node *node, void *self,
                          const struct kad_hook_result *answer) {
  struct held_query *query = self;
  struct kad_message message;
  struct kad_incoming incoming;
  uint8_t scratch[KAD_CODEC_SCRATCH];
  if (reread(node, query, scratch, &message, &incoming)) {
    answer_method(node, &incoming, answer);
  }
  hold_query_end(node, query);
}

/* Asks `hook` about a query. When the answer comes later, `resume` has the copy
 * of the query; else `*answer` is filled in. Returns the verdict. */
static enum kad_verdict ask(struct kad_node *node,
                            const struct kad_incoming *incoming,
                            kad_hook_fn hook, void *state,
                            kad_hook_resume_fn resume,
                            struct kad_hook_result *answer) {
  const struct kad_message *message = incoming->message;
  const struct kad_request request = {.method = message->name,
                                      .args = message->args};
  const struct kad_hook_caller asker = {.resume = resume,
                                        .ruleset = node->ruleset};
  struct kad_hook_call call = {
      .from = incoming->from,
      .proven = kad_node_is_proven(node, &incoming->from),
      .request = &request,
  };
  enum kad_verdict verdict =
      kad_hook_call_begin(node, hook, state, &asker, &call, answer);
  if (verdict != KAD_VERDICT_PENDING) {
    return verdict;
  }
  struct held_query *query = hold_query(node, incoming);
  if (query == NULL) {
    kad_hook_call_cancel(node, call.call_id);
    *answer = (struct kad_hook_result){.verdict = KAD_VERDICT_FAILED};
    return KAD_VERDICT_FAILED;
  }
  kad_hook_call_set_context(node, call.call_id, query);
  return KAD_VERDICT_PENDING;
}

static void serve_custom(struct kad_node *node,
                         const struct kad_incoming *incoming) {
  struct kad_hook_result answer;
  const struct kad_method *method =
      kad_ruleset_method(node->ruleset, incoming->message->name);
  if (method == NULL) {
    refuse(node, incoming, KAD_CODE_METHOD, kad_slice_of("method unknown"));
    return;
  }
  if (ask(node, incoming, method->call, method->state, resume_method,
          &answer) != KAD_VERDICT_PENDING) {
    answer_method(node, incoming, &answer);
  }
}

static void dispatch(struct kad_node *node,
                     const struct kad_incoming *incoming) {
  switch (incoming->message->method) {
  case KAD_METHOD_PING:
    kad_reply_ping(node, incoming);
    return;
  case KAD_METHOD_FIND_NODE:
    kad_reply_find_node(node, incoming);
    return;
  case KAD_METHOD_GET_PEERS:
    kad_reply_get_peers(node, incoming);
    return;
  case KAD_METHOD_FIND_VALUE:
    kad_reply_find_value(node, incoming);
    return;
  case KAD_METHOD_ANNOUNCE_PEER:
    kad_reply_announce_peer(node, incoming);
    return;
  case KAD_METHOD_STORE:
    kad_reply_store(node, incoming);
    return;
  case KAD_METHOD_CUSTOM:
    serve_custom(node, incoming);
    return;
  }
}

/* Goes on after on_request. */
static void decide(struct kad_node *node, const struct kad_incoming *incoming,
                   const struct kad_hook_result *answer) {
  if (answer->verdict == KAD_VERDICT_ACCEPT) {
    dispatch(node, incoming);
  } else if (answer->verdict == KAD_VERDICT_DROP) {
    node->stats.dropped_by_policy++;
  } else if (answer->verdict == KAD_VERDICT_REJECT) {
    int code = answer->code != 0 ? answer->code : KAD_CODE_REFUSED;
    refuse(node, incoming, code, answer->reason);
  } else {
    refuse(node, incoming, KAD_CODE_FAILED, kad_slice_of("the policy failed"));
  }
}

static void resume_request(struct kad_node *node, void *self,
                           const struct kad_hook_result *answer) {
  struct held_query *query = self;
  struct kad_message message;
  struct kad_incoming incoming;
  uint8_t scratch[KAD_CODEC_SCRATCH];
  if (reread(node, query, scratch, &message, &incoming)) {
    decide(node, &incoming, answer);
  }
  hold_query_end(node, query);
}

void kad_serve(struct kad_node *node, const struct kad_incoming *incoming) {
  /* A hook may replace the policy; what it answered is still of the old one. */
  struct kad_ruleset *ruleset = node->ruleset;
  kad_hook_fn hook = ruleset->policy.on_request;
  struct kad_hook_result answer;
  kad_ruleset_retain(ruleset);
  if (hook == NULL) {
    dispatch(node, incoming);
  } else if (ask(node, incoming, hook, ruleset->policy.state, resume_request,
                 &answer) != KAD_VERDICT_PENDING) {
    decide(node, incoming, &answer);
  }
  if (!incoming->message->read_only) {
    kad_verification_seen(node, &incoming->from);
  }
  kad_ruleset_drop(ruleset, &node->env.allocator);
}

#include "node/serve.h"

#include "base/allocator.h"
#include "engine/node.h"
#include "membership/contact_admission.h"
#include "records/item.h"
#include "rpc/datagram.h"
#include "rpc/turn.h"

#include <string.h>

/* Replies to a query according to the result of a hook. */
typedef void (*result_fn)(struct kad_node *node,
                          const struct kad_incoming *incoming,
                          const struct kad_hook_result *result);

/* A query for which a hook is called. */
struct hooked_query {
  const struct kad_incoming *incoming;
  result_fn apply;
};

/* A query that waits for its turn or for a hook; its datagram is decoded again
 * later. */
struct kept_query {
  struct kad_backlog_item item; /* while it waits for its turn */
  struct kad_address from;
  result_fn apply; /* the result of the hook */
  size_t len;      /* bytes of `datagram` */
  uint8_t datagram[];
};

static void reply_error(struct kad_node *node,
                        const struct kad_incoming *incoming, int code,
                        struct kad_slice text) {
  const struct kad_reply_bound bound = kad_reply_bound_of_error(node, incoming);
  kad_reply_error(node, &bound, incoming->message->transaction, code, text);
}

static void reply_verdict(struct kad_node *node,
                          const struct kad_incoming *incoming,
                          const struct kad_hook_result *result) {
  struct kad_slice reason;
  int code = kad_hook_result_error(result, &reason);
  reply_error(node, incoming, code, reason);
}

/* Copies a query. Returns NULL when out of memory. */
static struct kept_query *copy_query(struct kad_node *node,
                                     const struct kad_incoming *incoming) {
  const struct kad_slice datagram = incoming->datagram;
  struct kept_query *kept =
      kad_alloc(&node->env.allocator, sizeof *kept + datagram.len);
  if (kept == NULL) {
    return NULL;
  }
  kept->from = incoming->from.address;
  kept->len = datagram.len;
  memcpy(kept->datagram, datagram.data, datagram.len);
  return kept;
}

static void free_query(struct kad_node *node, struct kept_query *kept) {
  kad_release(&node->env.allocator, kept, sizeof *kept + kept->len);
}

static void *keep_query(struct kad_node *node, void *self) {
  const struct hooked_query *query = self;
  struct kept_query *kept = copy_query(node, query->incoming);
  if (kept != NULL) {
    kept->apply = query->apply;
  }
  return kept;
}

/* Decodes a kept query again, with `scratch` of KAD_CODEC_SCRATCH bytes.
 * Returns false if a new codec does not decode it: the query gets no reply. */
static bool decode_again(struct kad_node *node, const struct kept_query *kept,
                         void *scratch, struct kad_message *message,
                         struct kad_incoming *incoming) {
  incoming->datagram =
      (struct kad_slice){.data = kept->datagram, .len = kept->len};
  if (kad_datagram_read(node, incoming->datagram, scratch, message) != 0 ||
      message->kind != KAD_MESSAGE_QUERY) {
    node->stats.dropped_malformed++;
    return false;
  }
  incoming->from.address = kept->from;
  incoming->from.id = message->id;
  incoming->message = message;
  return true;
}

static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  const struct hooked_query *query = self;
  query->apply(node, query->incoming, result);
}

static void resume_query(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  struct kept_query *kept = self;
  struct kad_message message;
  struct kad_incoming incoming;
  uint8_t scratch[KAD_CODEC_SCRATCH];
  if (decode_again(node, kept, scratch, &message, &incoming)) {
    kept->apply(node, &incoming, result);
  }
  free_query(node, kept);
}

/* Calls `hook` for a query. `apply` then replies to the query. */
static void call_hook(struct kad_node *node,
                      const struct kad_incoming *incoming, kad_hook_fn hook,
                      void *state, result_fn apply) {
  static const struct kad_hook_handler handler = {
      .apply = apply_result, .keep = keep_query, .resume = resume_query};
  const struct kad_message *message = incoming->message;
  const struct kad_request request = {.method = message->name,
                                      .args = message->args};
  struct hooked_query query = {.incoming = incoming, .apply = apply};
  const struct kad_hook_caller caller = {
      .handler = &handler,
      .self = &query,
      .ruleset = node->ruleset,
      .hook = hook,
      .state = state,
  };
  struct kad_hook_call call = {
      .from = incoming->from,
      .proven = hook != NULL && kad_node_is_proven(node, &incoming->from),
      .request = &request,
  };
  (void)kad_hook_call_start(node, &caller, &call);
}

static void apply_method(struct kad_node *node,
                         const struct kad_incoming *incoming,
                         const struct kad_hook_result *result) {
  if (result->verdict == KAD_VERDICT_ACCEPT) {
    kad_reply_custom(node, incoming, result->reply);
  } else {
    reply_verdict(node, incoming, result);
  }
}

static void serve_unknown(struct kad_node *node,
                          const struct kad_incoming *incoming) {
  reply_error(node, incoming, KAD_CODE_METHOD, kad_slice_of("method unknown"));
}

static void serve_custom(struct kad_node *node,
                         const struct kad_incoming *incoming) {
  const struct kad_method *method =
      kad_ruleset_method(node->ruleset, incoming->message->name);
  if (method == NULL) {
    serve_unknown(node, incoming);
    return;
  }
  call_hook(node, incoming, method->call, method->state, apply_method);
}

static void serve_get(struct kad_node *node,
                      const struct kad_incoming *incoming) {
  const bool has_items = node->config.id_bits == KAD_ITEM_ID_BITS;
  (has_items ? kad_reply_get : serve_unknown)(node, incoming);
}

static void serve_put(struct kad_node *node,
                      const struct kad_incoming *incoming) {
  const bool has_items = node->config.id_bits == KAD_ITEM_ID_BITS;
  (has_items ? kad_reply_put : serve_unknown)(node, incoming);
}

static void serve_query(struct kad_node *node,
                        const struct kad_incoming *incoming) {
  static void (*const functions[])(struct kad_node * node,
                                   const struct kad_incoming *incoming) = {
      [KAD_METHOD_CUSTOM] = serve_custom,
      [KAD_METHOD_PING] = kad_reply_ping,
      [KAD_METHOD_FIND_NODE] = kad_reply_find_node,
      [KAD_METHOD_GET_PEERS] = kad_reply_get_peers,
      [KAD_METHOD_ANNOUNCE_PEER] = kad_reply_announce_peer,
      [KAD_METHOD_FIND_VALUE] = kad_reply_find_value,
      [KAD_METHOD_STORE] = kad_reply_store,
      [KAD_METHOD_GET] = serve_get,
      [KAD_METHOD_PUT] = serve_put,
      [KAD_METHOD_SAMPLE_INFOHASHES] = kad_reply_sample,
  };
  functions[incoming->message->method](node, incoming);
}

static void apply_on_request(struct kad_node *node,
                             const struct kad_incoming *incoming,
                             const struct kad_hook_result *result) {
  if (result->verdict == KAD_VERDICT_ACCEPT) {
    serve_query(node, incoming);
  } else if (result->verdict == KAD_VERDICT_DROP) {
    node->stats.dropped_by_policy++;
    kad_talkers_drop(node, &incoming->from.address);
  } else {
    reply_verdict(node, incoming, result);
  }
}

static void serve_now(struct kad_node *node,
                      const struct kad_incoming *incoming) {
  const struct kad_policy *policy = &node->ruleset->policy;
  call_hook(node, incoming, policy->on_request, policy->state,
            apply_on_request);
  if (incoming->message->read_only) {
    kad_contact_is_read_only(node, &incoming->from);
  } else {
    kad_contact_queried(node, &incoming->from);
  }
}

static void serve_waiting(struct kad_node *node,
                          struct kad_backlog_item *item) {
  struct kept_query *kept = kad_container_of(item, struct kept_query, item);
  struct kad_message message;
  struct kad_incoming incoming;
  uint8_t scratch[KAD_CODEC_SCRATCH];
  if (decode_again(node, kept, scratch, &message, &incoming)) {
    serve_now(node, &incoming);
  }
  free_query(node, kept);
}

static void refuse_waiting(struct kad_node *node,
                           struct kad_backlog_item *item) {
  struct kept_query *kept = kad_container_of(item, struct kept_query, item);
  struct kad_message message;
  struct kad_incoming incoming;
  uint8_t scratch[KAD_CODEC_SCRATCH];
  if (decode_again(node, kept, scratch, &message, &incoming)) {
    node->stats.busy++;
    reply_error(node, &incoming, KAD_CODE_FAILED, kad_slice_of("too busy"));
  }
  free_query(node, kept);
}

/* Returns true for a query that takes no longer than it would take to let it
 * wait. */
static bool is_cheap(const struct kad_node *node,
                     const struct kad_message *query) {
  return node->ruleset->policy.on_request == NULL &&
         (query->method == KAD_METHOD_PING ||
          query->method == KAD_METHOD_FIND_NODE);
}

/* Lets a query wait for its turn. Returns false if it need not, or if there is
 * no memory. */
static bool wait_for_turn(struct kad_node *node,
                          const struct kad_incoming *incoming) {
  if (is_cheap(node, incoming->message) || !kad_turn_is_taken(node)) {
    return false;
  }
  struct kept_query *kept = copy_query(node, incoming);
  if (kept == NULL) {
    return false;
  }
  kept->item.resume = serve_waiting;
  kept->item.refuse = refuse_waiting;
  const int error =
      kad_turn_wait(node, &kept->from, &kept->item, KAD_BACKLOG_NEW);
  if (error == KAD_EFULL) {
    refuse_waiting(node, &kept->item);
  } else if (error != 0) {
    free_query(node, kept);
    return false;
  }
  node->stats.queued += error == 0;
  return true;
}

void kad_serve_query(struct kad_node *node,
                     const struct kad_incoming *incoming) {
  if (!wait_for_turn(node, incoming)) {
    serve_now(node, incoming);
  }
}

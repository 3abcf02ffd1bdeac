/* A custom query along a lookup path: each contact on the way to a key gets it,
 * and the user receives each reply. */
#include "engine/node.h"
#include "rpc/datagram.h"
#include "wire/bencode.h"
#include "wire/message.h"

#include <string.h>

struct path_query {
  struct kad_operation op;
  kad_reply_fn on_reply; /* or NULL */
  bool stopped;          /* by the user */
  char name[KAD_METHOD_NAME_MAX];
  uint8_t args[];
};

static struct path_query *query_of(struct kad_operation *op) {
  return kad_container_of(op, struct path_query, op);
}

static bool deliver_reply(struct kad_node *node, struct kad_lookup *lookup,
                          const struct kad_contact *from,
                          const struct kad_message *reply) {
  struct path_query *query = query_of(lookup->config.owner);
  enum kad_reply_verdict verdict = KAD_REPLY_VERDICT_COUNT;
  if (query->stopped) {
    return false;
  }
  if (query->on_reply != NULL) {
    verdict = query->on_reply(query->op.data, from, reply->reply);
  }
  if (verdict == KAD_REPLY_VERDICT_STOP) {
    query->stopped = true;
    kad_operation_end_lookups(node, &query->op);
  }
  return verdict != KAD_REPLY_VERDICT_IGNORE;
}

static void end_query(struct kad_node *node, struct kad_operation *op) {
  kad_operation_end_search(node, op, op->holders > 0);
}

static const struct kad_operation_kind query_kind = {
    .method = KAD_METHOD_CUSTOM,
    .timed = KAD_TIMED_QUERY,
    .start = kad_operation_look_up,
    .replied = deliver_reply,
    .looked_up = end_query,
};

/* Returns true if `args` is empty, or a dictionary without an id and a target
 * that is not nested too deeply for a message. */
static bool args_are_valid(struct kad_slice args) {
  struct kad_bencode dict;
  struct kad_bencode value;
  struct kad_slice rest = args;
  return args.len == 0 ||
         (kad_bencode_read(&rest, KAD_BENCODE_MAX_DEPTH - 1, &dict) &&
          rest.len == 0 && dict.type == KAD_BENCODE_DICT &&
          !kad_bencode_find(&dict, "id", &value) &&
          !kad_bencode_find(&dict, "target", &value));
}

static bool is_valid(const struct kad_custom_query *custom) {
  return custom->method.len > 0 && custom->method.len <= KAD_METHOD_NAME_MAX &&
         kad_method_is_callable(custom->method) && args_are_valid(custom->args);
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_node_query(struct kad_node *node, const struct kad_id *key,
                   const struct kad_custom_query *custom,
                   const struct kad_lookup_options *options, kad_done_fn done,
                   void *data, kad_operation_id *operation) {
  struct kad_operation *op;
  if (custom != NULL && custom->args.len > KAD_DATAGRAM_MAX) {
    return KAD_ETOOBIG;
  }
  if (node == NULL || key == NULL || custom == NULL || !is_valid(custom)) {
    return KAD_EINVAL;
  }
  const struct kad_operation_request request = {
      .kind = &query_kind,
      .size = sizeof(struct path_query) + custom->args.len,
      .options = options,
      .target = key,
      .done = done,
      .data = data};
  int error = kad_operation_new(node, &request, &op, operation);
  if (error != 0) {
    return error;
  }
  struct path_query *query = query_of(op);
  query->on_reply = custom->on_reply;
  memcpy(query->name, custom->method.data, custom->method.len);
  op->query_name =
      (struct kad_slice){(const uint8_t *)query->name, custom->method.len};
  if (custom->args.len > 0) {
    memcpy(query->args, custom->args.data, custom->args.len);
    op->query_args = (struct kad_slice){query->args, custom->args.len};
  }
  return 0;
}

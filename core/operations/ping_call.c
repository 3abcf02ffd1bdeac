/* Operations on one contact: a ping, and the call of a custom query.
 *
 * Tested by tests/unit/operations/operation_test.c.
 */
#include "base/allocator.h"
#include "engine/node.h"
#include "rpc/datagram.h"
#include "wire/message.h"

#include <string.h>

/* A query to one contact. */
struct contact_query {
  struct kad_operation op;
  struct kad_contact to;
  bool answered;
  uint32_t messages; /* sent */
  uint8_t token_len; /* 0 until the contact has asked for a proof */
  uint8_t token[KAD_TOKEN_MAX];
  size_t name_len;
  char name[KAD_METHOD_NAME_MAX];
  size_t args_len;
  uint8_t args[]; /* a bencoded dictionary */
};

static struct contact_query *query_of(struct kad_operation *op) {
  return kad_container_of(op, struct contact_query, op);
}

static int send_query(struct kad_node *node, struct contact_query *it);

/* Sends the query again with the token of `error`, which proves our address:
 * the reply is many times larger than the query. Returns false if it was sent
 * with one before, or cannot be sent. */
static bool prove_address(struct kad_node *node, struct contact_query *it,
                          const struct kad_message *error) {
  if (error->token.len == 0 || it->name_len == 0 || it->token_len > 0) {
    return false;
  }
  it->token_len = (uint8_t)error->token.len;
  memcpy(it->token, error->token.data, error->token.len);
  return send_query(node, it) == 0;
}

static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  struct contact_query *it = query_of(kad_operation_of_query(query));
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_REPLY:
    it->to = query->to;
    it->answered = true;
    kad_operation_keep_text(node, &it->op, message->reply);
    kad_operation_end(node, &it->op, 0);
    return;
  case KAD_QUERY_ERROR:
    if (prove_address(node, it, message)) {
      return;
    }
    it->answered = true;
    kad_operation_keep_error(node, &it->op, message);
    kad_operation_end(node, &it->op, KAD_EREMOTE);
    return;
  case KAD_QUERY_TIMEOUT:
    kad_operation_end(node, &it->op, KAD_ETIMEOUT);
    return;
  }
}

/* Sends the query of the operation. Returns as kad_rpc_send does. */
static int send_query(struct kad_node *node, struct contact_query *it) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.name = (struct kad_slice){.data = (const uint8_t *)it->name,
                                    .len = it->name_len};
  message.args = (struct kad_slice){.data = it->args, .len = it->args_len};
  message.method = it->name_len > 0 ? KAD_METHOD_CUSTOM : KAD_METHOD_PING;
  message.token = (struct kad_slice){.data = it->token, .len = it->token_len};
  it->messages++;
  return kad_rpc_send(node, &it->to, &message, on_query_event, &it->op.queries,
                      NULL);
}

static void start_contact_query(struct kad_node *node,
                                struct kad_operation *op) {
  struct contact_query *it = query_of(op);
  int error = kad_rpc_find_route(node, &it->to.address);
  error = error == 0 ? send_query(node, it) : error;
  if (error != 0) {
    kad_operation_end(node, op, error);
  }
}

static void report_contact_query(struct kad_node *node,
                                 struct kad_operation *op,
                                 struct kad_result *result) {
  const struct contact_query *it = query_of(op);
  (void)node;
  result->messages = it->messages;
  result->from = it->to;
  if (op->status == 0) {
    result->reply = result->reason;
    result->reason = (struct kad_slice){0};
  }
}

static const struct kad_operation_kind contact_query_kind = {
    .timed = KAD_TIMED_CALL,
    .start = start_contact_query,
    .report = report_contact_query,
};

/* Makes the operation: a ping if `method` is empty. */
static int make_contact_query(struct kad_node *node,
                              const struct kad_contact *to,
                              struct kad_slice method, struct kad_slice args,
                              const struct kad_operation_request *request,
                              kad_operation_id *operation) {
  struct kad_operation *op;
  int error = kad_operation_new(node, request, &op, operation);
  if (error != 0) {
    return error;
  }
  struct contact_query *it = query_of(op);
  it->op.timed = method.len > 0 ? KAD_TIMED_CALL : KAD_TIMED_PING;
  it->to = *to;
  it->name_len = method.len;
  it->args_len = args.len;
  if (method.len > 0) {
    memcpy(it->name, method.data, method.len);
  }
  if (args.len > 0) {
    memcpy(it->args, args.data, args.len);
  }
  return 0;
}

int kad_node_ping(struct kad_node *node, const struct kad_address *to,
                  kad_done_fn done, void *data, kad_operation_id *operation) {
  const struct kad_operation_request request = {
      .kind = &contact_query_kind,
      .size = sizeof(struct contact_query),
      .done = done,
      .data = data};
  const struct kad_slice nothing = {0};
  if (node == NULL || to == NULL || !kad_address_is_valid(to)) {
    return KAD_EINVAL;
  }
  const struct kad_contact contact = {.address = *to};
  return make_contact_query(node, &contact, nothing, nothing, &request,
                            operation);
}

/* Tells whether `args` is empty, or a dictionary without an id. */
static bool args_are_valid(struct kad_slice args) {
  struct kad_bencode dict;
  struct kad_bencode value;
  return args.len == 0 || (kad_bencode_parse(args, &dict) == 0 &&
                           dict.type == KAD_BENCODE_DICT &&
                           !kad_bencode_find(&dict, "id", &value));
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_node_call(struct kad_node *node, const struct kad_contact *to,
                  struct kad_slice method, struct kad_slice args,
                  kad_done_fn done, void *data, kad_operation_id *operation) {
  const struct kad_operation_request request = {
      .kind = &contact_query_kind,
      .size = sizeof(struct contact_query) + args.len,
      .done = done,
      .data = data};
  if (args.len > KAD_DATAGRAM_MAX) {
    return KAD_ETOOBIG;
  }
  if (node == NULL || to == NULL || !kad_address_is_valid(&to->address) ||
      method.len == 0 || method.len > KAD_METHOD_NAME_MAX ||
      !kad_method_is_callable(method) || !args_are_valid(args)) {
    return KAD_EINVAL;
  }
  return make_contact_query(node, to, method, args, &request, operation);
}

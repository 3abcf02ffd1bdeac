/* Operations on one contact: ping, and the call of a custom query. */
#include "base/allocator.h"
#include "engine/node.h"
#include "rpc/datagram.h"

#include <string.h>

/* A query to one contact. */
struct direct {
  struct kad_operation op;
  struct kad_contact to;
  bool answered;
  size_t name_len;
  char name[KAD_METHOD_NAME_MAX];
  size_t args_len;
  uint8_t args[]; /* a bencoded dictionary */
};

static struct direct *direct_of(struct kad_operation *op) {
  return kad_container_of(op, struct direct, op);
}

static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct direct *direct = direct_of(kad_operation_of_query(query));
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_REPLY:
    direct->to = query->to;
    direct->answered = true;
    kad_operation_keep_text(node, &direct->op, message->reply);
    kad_operation_end(node, &direct->op, 0);
    return;
  case KAD_QUERY_ERROR:
    direct->answered = true;
    kad_operation_keep_error(node, &direct->op, message);
    kad_operation_end(node, &direct->op, KAD_EREMOTE);
    return;
  case KAD_QUERY_TIMEOUT:
    kad_operation_end(node, &direct->op, KAD_ETIMEOUT);
    return;
  }
}

static void start_direct(struct kad_node *node, struct kad_operation *op) {
  struct direct *direct = direct_of(op);
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.name = (struct kad_slice){.data = (const uint8_t *)direct->name,
                                    .len = direct->name_len};
  message.args =
      (struct kad_slice){.data = direct->args, .len = direct->args_len};
  message.method = direct->name_len > 0 ? KAD_METHOD_CUSTOM : KAD_METHOD_PING;
  int error =
      kad_rpc_send(node, &direct->to, &message, take_event, &op->queries, NULL);
  if (error != 0) {
    kad_operation_end(node, op, error);
  }
}

static void report_direct(struct kad_node *node, struct kad_operation *op,
                          struct kad_result *result) {
  const struct direct *direct = direct_of(op);
  (void)node;
  result->messages = 1;
  result->from = direct->to;
  if (op->status == 0) {
    result->reply = result->reason;
    result->reason = (struct kad_slice){0};
  }
}

static const struct kad_operation_kind direct_kind = {
    .method = KAD_METHOD_PING,
    .start = start_direct,
    .report = report_direct,
};

/* Starts a query to one contact; a ping when `method` is empty. */
static int start_query(struct kad_node *node, const struct kad_contact *to,
                       struct kad_slice method, struct kad_slice args,
                       const struct kad_operation_request *request,
                       kad_operation_id *operation) {
  struct kad_operation *op;
  int error = kad_operation_new(node, request, &op);
  if (error != 0) {
    return error;
  }
  struct direct *direct = direct_of(op);
  direct->to = *to;
  direct->name_len = method.len;
  direct->args_len = args.len;
  if (method.len > 0) {
    memcpy(direct->name, method.data, method.len);
  }
  if (args.len > 0) {
    memcpy(direct->args, args.data, args.len);
  }
  if (operation != NULL) {
    *operation = op->name;
  }
  return 0;
}

static bool address_is_valid(const struct kad_address *address) {
  return (address->family == 4 || address->family == 6) && address->port != 0;
}

int kad_node_ping(struct kad_node *node, const struct kad_address *to,
                  kad_done_fn done, void *data, kad_operation_id *operation) {
  const struct kad_operation_request request = {.kind = &direct_kind,
                                                .size = sizeof(struct direct),
                                                .done = done,
                                                .data = data};
  const struct kad_slice nothing = {0};
  if (node == NULL || to == NULL || !address_is_valid(to)) {
    return KAD_EINVAL;
  }
  const struct kad_contact contact = {.address = *to};
  return start_query(node, &contact, nothing, nothing, &request, operation);
}

static bool args_are_valid(struct kad_slice args) {
  struct kad_bencode parsed;
  return args.len == 0 || (args.len <= KAD_DATAGRAM_MAX &&
                           kad_bencode_parse(args, &parsed) == 0 &&
                           parsed.type == KAD_BENCODE_DICT);
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_node_call(struct kad_node *node, const struct kad_contact *to,
                  struct kad_slice method, struct kad_slice args,
                  kad_done_fn done, void *data, kad_operation_id *operation) {
  const struct kad_operation_request request = {.kind = &direct_kind,
                                                .size = sizeof(struct direct) +
                                                        args.len,
                                                .done = done,
                                                .data = data};
  if (node == NULL || to == NULL || !address_is_valid(&to->address) ||
      method.len == 0 || method.len > KAD_METHOD_NAME_MAX ||
      kad_method_find(method) != KAD_METHOD_CUSTOM || !args_are_valid(args)) {
    return KAD_EINVAL;
  }
  return start_query(node, to, method, args, &request, operation);
}

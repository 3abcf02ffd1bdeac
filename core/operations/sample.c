/* Asking a node for a sample of its info hashes, or only for contacts.
 *
 * Tested by tests/unit/operations/sample_test.c. */
#include "engine/node.h"
#include "kadenza_sample.h"

#include <string.h>

enum {
  IDS_MAX = 72,        /* more do not fit a datagram */
  INTERVAL_MAX = 21600 /* seconds; BEP 51 */
};

struct sample {
  struct kad_operation op;
  struct kad_contact to;
  enum kad_method_id method; /* SAMPLE_INFOHASHES or FIND_NODE */
  struct kad_sampled sampled;
  struct kad_id ids[IDS_MAX];
  struct kad_contact contacts[KAD_MESSAGE_CONTACTS];
};

static struct sample *sample_of(struct kad_operation *op) {
  return kad_container_of(op, struct sample, op);
}

/* Copies what the reply has. Returns 0 or KAD_EMALFORMED: it has no sample, and
 * one was asked for. */
static int keep_reply(const struct kad_node *node, struct sample *sample,
                      const struct kad_message *reply) {
  const size_t size = node->id_size;
  const size_t given = reply->samples.len / size;
  const size_t count = given < IDS_MAX ? given : IDS_MAX;
  for (size_t i = 0; i < count; i++) {
    memcpy(sample->ids[i].bytes, reply->samples.data + i * size, size);
  }
  memcpy(sample->contacts, reply->contacts,
         reply->contact_count * sizeof *reply->contacts);
  sample->sampled = (struct kad_sampled){
      .ids = sample->ids,
      .count = count,
      .num = reply->has_num ? reply->num : 0,
      .interval_s =
          reply->interval < INTERVAL_MAX ? reply->interval : INTERVAL_MAX,
      .contacts = sample->contacts,
      .contact_count = reply->contact_count,
  };
  return reply->has_samples || sample->method == KAD_METHOD_FIND_NODE
             ? 0
             : KAD_EMALFORMED;
}

static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  struct sample *sample = sample_of(kad_operation_of_query(query));
  if (event == KAD_QUERY_REPLY) {
    sample->to = query->to;
    kad_operation_end(node, &sample->op, keep_reply(node, sample, message));
  } else if (event == KAD_QUERY_ERROR) {
    kad_operation_keep_error(node, &sample->op, message);
    kad_operation_end(node, &sample->op, KAD_EREMOTE);
  } else if (event == KAD_QUERY_TIMEOUT) {
    kad_operation_end(node, &sample->op, KAD_ETIMEOUT);
  }
}

static void start_sample(struct kad_node *node, struct kad_operation *op) {
  struct sample *sample = sample_of(op);
  struct kad_message message;
  kad_message_init_query(&message, sample->method, &op->target);
  int error = kad_rpc_find_route(node, &sample->to.address);
  if (error == 0) {
    error = kad_rpc_send(node, &sample->to, &message, on_query_event,
                         &op->queries, NULL);
  }
  if (error != 0) {
    kad_operation_end(node, op, error);
  }
}

static void report_sample(struct kad_node *node, struct kad_operation *op,
                          struct kad_result *result) {
  const struct sample *sample = sample_of(op);
  (void)node;
  result->messages = 1;
  result->from = sample->to;
  result->sampled = op->status == 0 ? &sample->sampled : NULL;
}

static const struct kad_operation_kind sample_kind = {
    .timed = KAD_TIMED_SAMPLE,
    .start = start_sample,
    .report = report_sample,
};

static int ask(struct kad_node *node, const struct kad_contact *to,
               enum kad_method_id method, struct kad_operation_request request,
               kad_operation_id *operation) {
  struct kad_operation *op;
  request.kind = &sample_kind;
  request.size = sizeof(struct sample);
  if (node == NULL || to == NULL || request.target == NULL ||
      !kad_address_is_valid(&to->address)) {
    return KAD_EINVAL;
  }
  int error = kad_operation_new(node, &request, &op, operation);
  if (error == 0) {
    sample_of(op)->to = *to;
    sample_of(op)->method = method;
    op->timed = method == KAD_METHOD_FIND_NODE ? KAD_TIMED_NEIGHBOURS
                                               : KAD_TIMED_SAMPLE;
  }
  return error;
}

int kad_node_sample(struct kad_node *node, const struct kad_contact *to,
                    const struct kad_id *target, kad_done_fn done, void *data,
                    kad_operation_id *operation) {
  const struct kad_operation_request request = {
      .target = target, .done = done, .data = data};
  return ask(node, to, KAD_METHOD_SAMPLE_INFOHASHES, request, operation);
}

int kad_node_neighbours(struct kad_node *node, const struct kad_contact *to,
                        const struct kad_id *target, kad_done_fn done,
                        void *data, kad_operation_id *operation) {
  const struct kad_operation_request request = {
      .target = target, .done = done, .data = data};
  return ask(node, to, KAD_METHOD_FIND_NODE, request, operation);
}

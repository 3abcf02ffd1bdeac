/* Storing: our own rules first, then a lookup that gathers write tokens, then a
 * store (or announce_peer) to the k closest that gave one, and to ourselves
 * when we are one of them. Source: Kademlia §2.3; BEP 5 "announce_peer". */
#include "base/allocator.h"
#include "overlay/admission.h"
#include "overlay/judge.h"
#include "overlay/node.h"

#include <string.h>

struct put;

/* The copy that is stored here. A merge or an expire hook may answer after the
 * put has ended, so this is neither's part. */
struct local_store {
  struct put *put; /* NULL once that has ended */
};

struct put {
  struct kad_op op;
  struct kad_bundle record;  /* none for an announce */
  uint16_t port;             /* announce; 0: implied */
  bool again;                /* a record that is held already is republished */
  uint32_t open;             /* stores under way, one for this function */
  uint32_t places;           /* contacts that it belongs to */
  uint32_t sent;             /* to contacts */
  uint32_t taken;            /* by contacts */
  bool refused;              /* by some contact */
  bool reached;              /* some contact answered the lookup */
  bool here;                 /* we are one of those that hold it */
  struct local_store *local; /* under way, or NULL */
  uint64_t ticket;
};

static struct put *put_of(struct kad_op *op) {
  return kad_container_of(op, struct put, op);
}

static void refuse(struct kad_node *node, struct put *put, int code,
                   struct kad_slice reason) {
  put->op.code = code;
  kad_op_keep_text(node, &put->op, reason);
  kad_op_end(node, &put->op,
             code == KAD_CODE_TOO_BIG     ? KAD_ETOOBIG
             : code == KAD_CODE_SIGNATURE ? KAD_ESIGNATURE
                                          : KAD_EREFUSED);
}

static void take_verdict(struct kad_node *node, struct put *put,
                         const struct kad_answer *answer) {
  if (answer->verdict == KAD_ACCEPT) {
    kad_op_look_up(node, &put->op);
    return;
  }
  bool failed = answer->verdict == KAD_FAILED;
  int code = failed || answer->code == 0 ? KAD_CODE_REFUSED : answer->code;
  refuse(node, put, failed ? KAD_CODE_FAILED : code,
         failed ? kad_slice_of("the policy failed") : answer->reason);
}

static void resume(struct kad_node *node, void *self,
                   const struct kad_answer *answer) {
  struct put *put = self;
  put->ticket = 0;
  if (put->op.state == KAD_OPERATION_RUNNING && !node->closing) {
    take_verdict(node, put, answer);
  }
}

static void validate(struct kad_node *node, struct put *put,
                     const struct kad_type *type) {
  const struct kad_asker asker = {
      .self = put, .resume = resume, .ruleset = node->ruleset};
  struct kad_question question = {.reason = KAD_REASON_STORE,
                                  .record = put->record.records};
  struct kad_answer answer;
  if (kad_ask(node, type->validate, type->state, &asker, &question, &answer) ==
      KAD_LATER) {
    put->ticket = question.ticket;
    return;
  }
  take_verdict(node, put, &answer);
}

/* Our own rules come first, so that a mistake is told without any traffic. */
static void start_put(struct kad_node *node, struct kad_op *op) {
  struct put *put = put_of(op);
  const struct kad_record *record = put->record.records;
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  const char *reason = NULL;
  if (type == NULL) {
    kad_op_end(node, op, KAD_ETYPE);
    return;
  }
  int code =
      put->again ? 0 : kad_judge(type, record, node->config.id_bits, &reason);
  if (code != 0) {
    refuse(node, put, code, kad_slice_of(reason));
  } else if (type->validate == NULL || put->again) {
    kad_op_look_up(node, op);
  } else {
    validate(node, put, type);
  }
}

/* A contact that gave no token has refused, in a way. With k = 1 the only place
 * may be here. */
static int end_status(const struct put *put) {
  if (!put->reached) {
    return KAD_ENOCONTACTS;
  }
  if (put->taken > 0 ||
      (put->places == 0 && (put->again || put->op.stored > 0))) {
    return 0;
  }
  return put->refused || put->sent == 0 ? KAD_EREMOTE : KAD_ETIMEOUT;
}

/* Counts one store less under way; after the last, the operation ends. */
static void close_store(struct kad_node *node, struct put *put) {
  if (--put->open == 0 && !node->closing) {
    kad_op_end(node, &put->op, end_status(put));
  }
}

static void store_event(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message) {
  struct put *put = query->owner;
  if (event == KAD_QUERY_SOFT) {
    return;
  }
  if (event == KAD_QUERY_REPLY &&
      (!message->has_stored || message->stored > 0)) {
    put->op.stored++;
    put->taken++;
  } else if (event == KAD_QUERY_ERROR) {
    put->refused = true;
    kad_op_keep_error(node, &put->op, message);
  }
  close_store(node, put);
}

/* Sends the store, or the announce, to one contact with its token. */
static void send_store(struct kad_node *node, struct put *put,
                       const struct kad_candidate *candidate) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.has_target = true;
  message.target = put->op.target;
  message.token =
      (struct kad_slice){.data = candidate->token, .len = candidate->token_len};
  if (put->record.count > 0) {
    message.method = KAD_METHOD_STORE;
    message.type = put->op.type;
    message.why = kad_slice_of(put->again ? "republish" : "");
    message.records[0] = *put->record.records;
    message.record_count = 1;
  } else {
    message.method = KAD_METHOD_ANNOUNCE_PEER;
    message.has_port = true;
    message.port = put->port != 0 ? put->port : candidate->contact.address.port;
    message.implied_port = put->port == 0;
  }
  if (kad_rpc_send(node, &candidate->contact, &message, store_event, put,
                   NULL) == 0) {
    put->op.asked++;
    put->open++;
    put->sent++;
  }
}

static void admitted(struct kad_node *node,
                     const struct kad_admission *admission, void *data) {
  struct local_store *local = data;
  struct put *put = local->put;
  kad_release(&node->env.allocator, local, sizeof *local);
  if (put == NULL) {
    return;
  }
  put->local = NULL;
  put->op.stored += admission->stored;
  if (admission->stored == 0 && put->op.code == 0) {
    put->op.code = admission->outcomes[0].code;
    kad_op_keep_text(node, &put->op, kad_admission_reason(admission, 0));
  }
  close_store(node, put);
}

/* Returns true if we may hold what is put, or hold it already. */
static bool may_hold(const struct kad_node *node, const struct put *put) {
  return !node->config.read_only && put->record.count > 0;
}

/* Stores at the k closest that the lookup of a family found. When we are one of
 * them, one contact less is: there are k holders then, too. */
static void store_in(struct kad_node *node, struct put *put,
                     const struct kad_lookup *lookup) {
  const struct kad_candidate *closest[KAD_WIDTH_MAX];
  uint32_t k = lookup->config.k;
  size_t count = kad_lookup_closest(lookup, closest, k);
  put->reached = put->reached || count > 0;
  if (may_hold(node, put) && count > 0 &&
      (count < k || kad_id_compare(&put->op.target, &node->config.id,
                                   &closest[count - 1]->contact.id) < 0)) {
    put->here = true;
    count -= count == k;
  }
  for (size_t i = 0; i < count; i++) {
    put->places++;
    if (closest[i]->token_len > 0) {
      send_store(node, put, closest[i]);
    }
  }
}

/* Holds the record here. The answer may come later. */
static void store_here(struct kad_node *node, struct put *put) {
  struct local_store *local = kad_alloc(&node->env.allocator, sizeof *local);
  const struct kad_admission_request request = {
      .records = put->record.records,
      .count = 1,
      .judged = true,
      .reason = KAD_REASON_STORE,
      .done = admitted,
      .data = local,
  };
  if (local == NULL) {
    return;
  }
  local->put = put;
  put->local = local;
  put->op.asked++;
  put->open++;
  if (kad_admit(node, &request) != 0) {
    kad_release(&node->env.allocator, local, sizeof *local);
    put->local = NULL;
    put->open--;
  }
}

/* What nobody answers for is held here, by whoever may. */
static void store_at_closest(struct kad_node *node, struct kad_op *op) {
  struct put *put = put_of(op);
  put->open = 1;
  for (size_t i = 0; i < KAD_OPERATION_FAMILIES; i++) {
    if (op->lookups[i] != NULL) {
      store_in(node, put, op->lookups[i]);
    }
  }
  put->here = put->here || (!put->reached && may_hold(node, put));
  if (put->here && !put->again) {
    store_here(node, put);
  }
  close_store(node, put);
}

static void report_put(struct kad_node *node, struct kad_op *op,
                       struct kad_result *result) {
  (void)node;
  result->messages += put_of(op)->sent;
}

static void stop_put(struct kad_node *node, struct kad_op *op) {
  struct put *put = put_of(op);
  if (put->ticket != 0) {
    kad_question_withdraw(node, put->ticket);
  }
  if (put->local != NULL) {
    put->local->put = NULL;
  }
  kad_bundle_free(&put->record, &node->env.allocator);
}

static const struct kad_op_kind put_kind = {
    .method = KAD_METHOD_FIND_VALUE,
    .start = start_put,
    .looked_up = store_at_closest,
    .report = report_put,
    .stop = stop_put,
};

static const struct kad_op_kind announce_kind = {
    .method = KAD_METHOD_GET_PEERS,
    .start = kad_op_look_up,
    .looked_up = store_at_closest,
    .report = report_put,
    .stop = stop_put,
};

/* Starts a put of `record`. The lookup skips every value: it wants tokens. */
static int start_record(struct kad_node *node,
                        const struct kad_op_request *request,
                        const struct kad_record *record, struct kad_op **op) {
  struct kad_bundle copy = {0};
  int error = kad_bundle_copy(&copy, &node->env.allocator, record, 1);
  if (error != 0) {
    return error;
  }
  error = kad_op_new(node, request, op);
  if (error != 0) {
    kad_bundle_free(&copy, &node->env.allocator);
    return error;
  }
  put_of(*op)->record = copy;
  (*op)->skip = UINT32_MAX;
  return 0;
}

int kad_node_put(struct kad_node *node, const struct kad_record *record,
                 const struct kad_lookup_options *options, kad_done done,
                 void *data, kad_operation *operation) {
  struct kad_op *op;
  if (node == NULL || record == NULL || record->type.len == 0) {
    return KAD_EINVAL;
  }
  const struct kad_op_request request = {.kind = &put_kind,
                                         .size = sizeof(struct put),
                                         .options = options,
                                         .target = &record->key,
                                         .type = record->type,
                                         .done = done,
                                         .data = data};
  int error = start_record(node, &request, record, &op);
  if (error == 0 && operation != NULL) {
    *operation = op->name;
  }
  return error;
}

int kad_republish(struct kad_node *node, const struct kad_record *record,
                  kad_done done, void *data) {
  struct kad_op *op;
  const struct kad_op_request request = {.kind = &put_kind,
                                         .size = sizeof(struct put),
                                         .target = &record->key,
                                         .type = record->type,
                                         .done = done,
                                         .data = data};
  int error = start_record(node, &request, record, &op);
  if (error == 0) {
    put_of(op)->again = true;
  }
  return error;
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_node_announce(struct kad_node *node, const struct kad_id *info_hash,
                      uint16_t port, const struct kad_lookup_options *options,
                      kad_done done, void *data, kad_operation *operation) {
  const struct kad_op_request request = {.kind = &announce_kind,
                                         .size = sizeof(struct put),
                                         .options = options,
                                         .target = info_hash,
                                         .done = done,
                                         .data = data};
  struct kad_op *op;
  if (node == NULL || info_hash == NULL) {
    return KAD_EINVAL;
  }
  int error = kad_op_new(node, &request, &op);
  if (error == 0) {
    put_of(op)->port = port;
    if (operation != NULL) {
      *operation = op->name;
    }
  }
  return error;
}

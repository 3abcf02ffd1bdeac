#include "operations/put.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "operations/sybil_search.h"
#include "replication/admission.h"
#include "replication/fanout.h"
#include "replication/record_check.h"

#include <string.h>

enum {
  BESIDE = 8, /* added to a family: its group beside a crowded key */
  SPARES = 2  /* replicas that are looked at in each family, in k */
};

struct put;

/* The copy that is stored here. A merge or an expire hook may answer after the
 * put has ended, so this is neither's part. */
struct local_store {
  struct put *put; /* NULL once that has ended */
};

struct put {
  struct kad_operation op;
  struct kad_bundle record; /* none for an announce */
  uint16_t port;            /* announce; 0: implied */
  bool again;               /* it has been put before */
  bool own;                 /* by our own user */
  bool beginning;           /* not all that it begins with is under way */
  struct kad_fanout fanout;
  uint32_t replicas;         /* contacts that it belongs to */
  uint32_t taken;            /* by contacts */
  bool refused;              /* by some contact */
  bool reached;              /* some contact answered the lookup */
  bool here;                 /* we are one of those that hold it */
  bool here_asked;           /* and our rules were asked whether we do */
  struct local_store *local; /* under way, or NULL */
};

static struct put *put_of(struct kad_operation *op) {
  return kad_container_of(op, struct put, op);
}

static void refuse(struct kad_node *node, struct put *put, int code,
                   struct kad_slice reason) {
  put->op.code = code;
  kad_operation_keep_text(node, &put->op, reason);
  kad_operation_end(node, &put->op, kad_record_check_error(code));
}

/* Our rules have agreed: keeps the record if that was asked for, and looks for
 * its holders. */
static void agree(struct kad_node *node, struct put *put) {
  const struct kad_record *record = put->record.records;
  int error = 0;
  if (put->op.options.publish && !put->again) {
    error = kad_publications_add(node, record,
                                 kad_publications_period(node, record));
    kad_republish_plan(node);
  }
  if (error == 0) {
    kad_operation_look_up(node, &put->op);
  } else {
    kad_operation_end(node, &put->op, error);
  }
}

static void apply_validate(struct kad_node *node, struct kad_operation *op,
                           const struct kad_hook_result *result) {
  struct put *put = put_of(op);
  struct kad_slice reason;
  if (result->verdict == KAD_VERDICT_ACCEPT) {
    agree(node, put);
    return;
  }
  int code = kad_hook_result_error(result, &reason);
  refuse(node, put, code, reason);
}

/* Our own rules come first, so that a mistake is told without any traffic. */
static void start_put(struct kad_node *node, struct kad_operation *op) {
  struct put *put = put_of(op);
  const struct kad_record *record = put->record.records;
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  struct kad_hook_call call = {.reason = KAD_REASON_STORE, .record = record};
  const char *reason = NULL;
  if (type == NULL) {
    kad_operation_end(node, op, KAD_ETYPE);
    return;
  }
  int code = put->again ? 0
                        : kad_record_check_type(type, record,
                                                node->config.id_bits, &reason);
  if (code != 0) {
    refuse(node, put, code, kad_slice_of(reason));
  } else {
    (void)kad_operation_call_hook(node, op, node->ruleset, type,
                                  put->again ? NULL : type->validate, &call);
  }
}

/* A contact that gave no token has refused, in a way. With k = 1 the only
 * replica may be here. */
static int end_status(const struct put *put) {
  if (!put->reached) {
    return KAD_ENOCONTACTS;
  }
  if (put->taken > 0 ||
      (put->replicas == 0 && (put->again || put->op.stored > 0))) {
    return 0;
  }
  return put->refused || put->fanout.asked == 0 ? KAD_EREMOTE : KAD_ETIMEOUT;
}

/* Ends the operation once nothing is under way any more. */
static void close_put(struct kad_node *node, struct put *put) {
  if (put->fanout.open == 0 && put->local == NULL && !put->beginning &&
      !node->closing) {
    kad_operation_end(node, &put->op, end_status(put));
  }
}

/* Writes the query for a token: the one of the lookup. */
static void write_call(const struct put *put, struct kad_message *message) {
  message->method = put->op.kind->method;
  message->type = put->op.type;
  message->skip = put->op.skip;
}

/* Writes the store, or the announce. */
static void write_store(const struct kad_fanout *fanout,
                        const struct kad_replica *replica,
                        struct kad_message *message) {
  const struct put *put = kad_container_of(fanout, struct put, fanout);
  if (replica->token_len == 0) {
    write_call(put, message);
  } else if (put->record.count > 0) {
    message->method = KAD_METHOD_STORE;
    message->type = put->op.type;
    message->why = kad_slice_of(put->again ? "republish" : "");
    message->records[0] = *put->record.records;
    message->record_count = 1;
  } else {
    message->method = KAD_METHOD_ANNOUNCE_PEER;
    message->has_port = true;
    message->port = put->port != 0 ? put->port : replica->contact.address.port;
    message->implied_port = put->port == 0;
  }
}

static void settled(struct kad_node *node, struct kad_fanout *fanout,
                    const struct kad_replica *replica,
                    const struct kad_message *message) {
  struct put *put = kad_container_of(fanout, struct put, fanout);
  if (replica->state == KAD_REPLICA_STORED) {
    put->op.stored++;
    put->taken++;
  } else if (message != NULL && message->kind == KAD_MESSAGE_ERROR) {
    put->refused = true;
    kad_operation_keep_error(node, &put->op, message);
  }
  close_put(node, put);
}

static const struct kad_fanout_kind fanout_kind = {
    .write = write_store,
    .settled = settled,
};

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
    kad_operation_keep_text(node, &put->op, kad_admission_reason(admission, 0));
  }
  close_put(node, put);
}

/* Returns true if we may hold what is put, or hold it already. */
static bool may_hold(const struct kad_node *node, const struct put *put) {
  return !node->config.read_only && put->record.count > 0;
}

/* Adds as replicas the closest candidates of a lookup: those that answered and
 * gave a token, and behind them those that there was no need to ask. Whoever
 * answered without a token has no room, or does not know what was asked. */
static void add_places(struct kad_node *node, struct put *put,
                       const struct kad_lookup *lookup) {
  const struct kad_candidate *near[2 * KAD_K_MAX];
  const uint8_t group = (uint8_t)lookup->config.family;
  size_t count =
      kad_lookup_living(lookup, near, (size_t)SPARES * lookup->config.k);
  if (kad_fanout_reserve(node, &put->fanout, count) != 0) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const struct kad_slice token = {.data = near[i]->token,
                                    .len = near[i]->token_len};
    if (token.len > 0 || near[i]->state == KAD_CANDIDATE_HEARD) {
      kad_fanout_add(&put->fanout, &near[i]->contact, token, group);
    }
  }
}

/* Stores at the k closest that the lookup of a family found. When we are one of
 * them, one contact less is: there are k holders then, too. */
static void store_in(struct kad_node *node, struct put *put,
                     const struct kad_lookup *lookup) {
  const struct kad_candidate *closest[KAD_K_MAX];
  uint32_t k = lookup->config.k;
  size_t want = kad_lookup_closest(lookup, closest, k);
  const size_t count = want;
  put->reached = put->reached || count > 0;
  if (may_hold(node, put) && count > 0 &&
      (count < k || kad_id_compare(&put->op.target, &node->config.id,
                                   &closest[count - 1]->contact.id) < 0)) {
    put->here = true;
    want -= count == k;
  }
  put->replicas += (uint32_t)want;
  add_places(node, put, lookup);
  kad_fanout_begin(node, &put->fanout, (uint8_t)lookup->config.family, want);
}

/* Stores at the k closest beside a crowded key, too. */
static void store_beside(struct kad_node *node, struct put *put,
                         unsigned family) {
  struct kad_contact found[SPARES * KAD_K_MAX];
  const struct kad_slice no_token = {0};
  const uint8_t group = (uint8_t)(BESIDE + family);
  const size_t k = put->op.options.k;
  const size_t count =
      kad_sybil_search_contacts(&put->op, family, found, (size_t)SPARES * k);
  if (kad_fanout_reserve(node, &put->fanout, count) != 0) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (!kad_fanout_has(&put->fanout, &found[i])) {
      kad_fanout_add(&put->fanout, &found[i], no_token, group);
    }
  }
  kad_fanout_begin(node, &put->fanout, group, k);
}

/* Holds the record here. The answer may come later. */
static void store_here(struct kad_node *node, struct put *put) {
  struct local_store *local = kad_alloc(&node->env.allocator, sizeof *local);
  const struct kad_admission_request request = {
      .records = put->record.records,
      .count = 1,
      .judged = true,
      .reason = put->again ? KAD_REASON_REPUBLISH : KAD_REASON_STORE,
      .done = admitted,
      .data = local,
  };
  if (local == NULL) {
    return;
  }
  local->put = put;
  put->local = local;
  put->here_asked = true;
  if (kad_admit(node, &request) != 0) {
    kad_release(&node->env.allocator, local, sizeof *local);
    put->local = NULL;
  }
}

/* Returns when the stores have to be done. Those of a republish wait for the
 * budget, which others share. */
static kad_time_ms time_to_store(struct kad_node *node, struct put *put) {
  struct kad_timer *overdue = &put->op.overdue;
  if (put->again) {
    kad_time_ms span =
        kad_budget_span(&node->budget, KAD_REPUBLISHES_MAX * node->config.k);
    kad_timer_set(node, overdue, kad_time_add(overdue->deadline.at, span),
                  overdue->fire);
  }
  return overdue->deadline.at;
}

/* What nobody answers for is held here, by whoever may. */
static void store_at_closest(struct kad_node *node, struct kad_operation *op) {
  struct put *put = put_of(op);
  put->beginning = true;
  put->fanout.kind = &fanout_kind;
  put->fanout.target = op->target;
  put->fanout.until = time_to_store(node, put);
  put->fanout.paced = put->again;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (op->lookups[i] != NULL) {
      store_in(node, put, op->lookups[i]);
      store_beside(node, put, op->lookups[i]->config.family);
    }
  }
  put->here = put->here || (!put->reached && may_hold(node, put));
  if (put->here && (put->own || !put->again)) {
    store_here(node, put);
  }
  put->beginning = false;
  close_put(node, put);
}

static void report_put(struct kad_node *node, struct kad_operation *op,
                       struct kad_result *result) {
  const struct put *put = put_of(op);
  (void)node;
  result->messages += put->fanout.messages;
  result->asked = put->fanout.asked + put->here_asked;
}

static void stop_put(struct kad_node *node, struct kad_operation *op) {
  struct put *put = put_of(op);
  if (put->local != NULL) {
    put->local->put = NULL;
  }
  kad_fanout_end(node, &put->fanout);
  kad_bundle_free(&put->record, &node->env.allocator);
}

static const struct kad_operation_kind put_kind = {
    .method = KAD_METHOD_FIND_VALUE,
    .start = start_put,
    .looked_up = store_at_closest,
    .apply_result = apply_validate,
    .report = report_put,
    .stop = stop_put,
};

static const struct kad_operation_kind announce_kind = {
    .method = KAD_METHOD_GET_PEERS,
    .start = kad_operation_look_up,
    .looked_up = store_at_closest,
    .report = report_put,
    .stop = stop_put,
};

/* Starts a put of `record`. The lookup skips every value: it wants tokens. */
static int start_record(struct kad_node *node,
                        const struct kad_operation_request *request,
                        const struct kad_record *record,
                        struct kad_operation **op) {
  struct kad_bundle copy = {0};
  int error = kad_bundle_copy(&copy, &node->env.allocator, record, 1);
  if (error != 0) {
    return error;
  }
  error = kad_operation_new(node, request, op);
  if (error != 0) {
    kad_bundle_free(&copy, &node->env.allocator);
    return error;
  }
  put_of(*op)->record = copy;
  (*op)->skip = UINT32_MAX;
  return 0;
}

int kad_node_put(struct kad_node *node, const struct kad_record *record,
                 const struct kad_lookup_options *options, kad_done_fn done,
                 void *data, kad_operation_id *operation) {
  struct kad_operation *op;
  if (node == NULL || record == NULL || record->type.len == 0) {
    return KAD_EINVAL;
  }
  const struct kad_operation_request request = {.kind = &put_kind,
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

int kad_put_republish(struct kad_node *node, const struct kad_record *record,
                      bool own, kad_done_fn done, void *data) {
  struct kad_operation *op;
  const struct kad_operation_request request = {.kind = &put_kind,
                                                .size = sizeof(struct put),
                                                .target = &record->key,
                                                .type = record->type,
                                                .done = done,
                                                .data = data,
                                                .inner = true};
  int error = start_record(node, &request, record, &op);
  if (error == 0) {
    put_of(op)->again = true;
    put_of(op)->own = own;
  }
  return error;
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_node_announce(struct kad_node *node, const struct kad_id *info_hash,
                      uint16_t port, const struct kad_lookup_options *options,
                      kad_done_fn done, void *data,
                      kad_operation_id *operation) {
  const struct kad_operation_request request = {.kind = &announce_kind,
                                                .size = sizeof(struct put),
                                                .options = options,
                                                .target = info_hash,
                                                .done = done,
                                                .data = data};
  struct kad_operation *op;
  if (node == NULL || info_hash == NULL) {
    return KAD_EINVAL;
  }
  int error = kad_operation_new(node, &request, &op);
  if (error == 0) {
    put_of(op)->port = port;
    if (operation != NULL) {
      *operation = op->name;
    }
  }
  return error;
}

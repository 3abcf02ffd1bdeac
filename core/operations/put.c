#include "operations/put.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "operations/item_versions.h"
#include "operations/sybil_search.h"
#include "records/item.h"
#include "replication/admission.h"
#include "replication/fanout.h"
#include "replication/record_check.h"
#include "rpc/record_query.h"

#include <string.h>

enum {
  SYBIL_GROUP = 8,    /* the replicas of a sybil search are the group
                         SYBIL_GROUP + family */
  CONTACTS_FACTOR = 2 /* replicas in a group, times k */
};

struct put;

/* The store at this node. Its merge or expire hook may still be pending when
 * the put has ended, so this is allocated on its own. */
struct local_store {
  struct put *put; /* NULL once the put has ended */
};

struct put {
  struct kad_operation op;
  struct kad_bundle record; /* none for an announce */
  uint16_t port;            /* of an announce; 0: implied */
  bool republishes;         /* the record has been stored before */
  bool publication;         /* a republished record is our user's */
  bool starting;            /* not all stores have been started */
  struct kad_fanout fanout;
  uint32_t replicas;      /* contacts that should hold the record */
  uint32_t remote_stored; /* contacts that have stored it */
  bool rejected;          /* by some contact */
  bool answered;          /* by some contact, in the lookup */
  bool holds;             /* this node is one of the holders */
  bool local_asked;       /* the store at this node was started */
  uint32_t life_s;        /* of the record at its holders; 0: unknown */
  struct kad_item_versions versions; /* of an item, at its holders */
  struct local_store *local;         /* under way, or NULL */
};

static struct put *put_of(struct kad_operation *op) {
  return kad_container_of(op, struct put, op);
}

static void reject(struct kad_node *node, struct put *put, int code,
                   struct kad_slice reason) {
  put->op.code = code;
  kad_operation_keep_text(node, &put->op, reason);
  kad_operation_end(node, &put->op, kad_record_check_error(code));
}

/* Called when our own rules accept the record: publishes it if the user wants
 * that, and looks up its holders. */
static void look_up_holders(struct kad_node *node, struct put *put) {
  const struct kad_record *record = put->record.records;
  int error = 0;
  if (put->op.options.publish && !put->republishes) {
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
    look_up_holders(node, put);
    return;
  }
  int code = kad_hook_result_error(result, &reason);
  reject(node, put, code, reason);
}

/* Returns how long a record with `ttl` (0: none) lives at nodes with our rules;
 * 0 if a hook of each decides. */
static uint32_t life_of(const struct kad_type *type, uint32_t ttl) {
  if (type == NULL || type->expire != NULL) {
    return 0;
  }
  return ttl > 0 && ttl < type->ttl ? ttl : type->ttl;
}

/* A republished record has been accepted before. */
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
  put->life_s = life_of(type, record->ttl);
  int code =
      put->republishes ? 0 : kad_record_check_new(node, type, record, &reason);
  if (code != 0) {
    reject(node, put, code, kad_slice_of(reason));
  } else {
    (void)kad_operation_call_hook(node, op, node->ruleset, type,
                                  put->republishes ? NULL : type->validate,
                                  &call);
  }
}

/* Returns the error of a put whose item other versions stand against. */
static int conflict_error(const struct put *put) {
  return put->op.options.has_cas ? KAD_ECAS : KAD_ESEQ;
}

/* Returns why a put that no contact answered has not stored the record. */
static int unanswered_error(const struct kad_node *node,
                            const struct put *put) {
  return put->local_asked && put->op.code != 0
             ? kad_record_check_error(put->op.code)
             : kad_operation_no_answer_error(node, &put->op);
}

/* With k = 1, this node may be the only holder, as without any contact. A
 * republish has to reach others. A contact that answers without a token counts
 * as one that has rejected the record. */
static int end_status(const struct kad_node *node, const struct put *put) {
  const uint32_t stored = put->op.stored;
  if (put->versions.conflicts > 0 && put->versions.conflicts >= stored) {
    return conflict_error(put);
  }
  if (!put->answered && (put->republishes || stored == 0)) {
    return unanswered_error(node, put);
  }
  if (put->remote_stored > 0 || !put->answered ||
      (put->replicas == 0 && (put->republishes || stored > 0))) {
    return stored < put->op.options.min_stored ? KAD_EFEWER : 0;
  }
  return put->rejected || put->fanout.asked == 0 ? KAD_EREMOTE : KAD_ETIMEOUT;
}

/* Ends the put when no store is under way. */
static void end_if_done(struct kad_node *node, struct put *put) {
  if (put->fanout.open == 0 && put->versions.open == 0 && put->local == NULL &&
      !put->starting && !node->closing) {
    kad_operation_end(node, &put->op, end_status(node, put));
  }
}

/* Writes the query for a token, which is that of the lookup. */
static void write_token_query(const struct put *put,
                              struct kad_message *message) {
  message->method = put->op.kind->method;
  message->type = put->op.type;
  message->skip = put->op.skip;
  message->has_seq = put->op.has_seq;
  message->seq = put->op.seq;
}

/* Writes the store. With cas, an item is compared with the version that the
 * replica says it holds, if that is not newer than the one that the user knows;
 * and with nothing if it holds none. Source: BEP 44 "CAS". */
static void write_store(const struct put *put,
                        const struct kad_replica *replica,
                        struct kad_message *message) {
  const struct kad_lookup_options *options = &put->op.options;
  message->records[0] = *put->record.records;
  message->record_count = 1;
  message->why = kad_slice_of(put->republishes ? "republish" : "");
  kad_record_write_store(message, put->op.type, replica->knows_ttl);
  if (message->method == KAD_METHOD_PUT) {
    message->has_cas = options->has_cas && replica->has_seq;
    message->cas = replica->seq < options->cas ? replica->seq : options->cas;
  }
}

static void write_query(const struct kad_fanout *fanout,
                        const struct kad_replica *replica,
                        struct kad_message *message) {
  const struct put *put = kad_container_of(fanout, struct put, fanout);
  if (replica->token_len == 0) {
    write_token_query(put, message);
  } else if (put->record.count > 0) {
    write_store(put, replica, message);
  } else {
    message->method = KAD_METHOD_ANNOUNCE_PEER;
    message->has_port = true;
    message->port = put->port != 0 ? put->port : replica->contact.address.port;
    message->implied_port = put->port == 0;
    message->seed = put->op.options.seed;
  }
}

/* Returns true if the error says that a holder has another version. */
static bool is_conflict(const struct put *put, int code) {
  return put->op.kind->method == KAD_METHOD_GET &&
         (code == KAD_CODE_CAS || code == KAD_CODE_SEQ);
}

static void on_version_event(struct kad_node *node, struct kad_query *query,
                             enum kad_query_event event,
                             const struct kad_message *message) {
  struct put *put = put_of(kad_operation_of_query(query));
  if (event == KAD_QUERY_SOFT || put->op.state != KAD_OPERATION_RUNNING) {
    return;
  }
  put->versions.open--;
  if (event == KAD_QUERY_REPLY) {
    kad_item_versions_read(node, &put->versions, put->record.records,
                           put->op.seq, message);
  }
  end_if_done(node, put);
}

/* Asks a holder that has refused the item which version it holds. */
static void ask_version(struct kad_node *node, struct put *put,
                        const struct kad_contact *holder) {
  struct kad_message message;
  kad_message_init_query(&message, KAD_METHOD_GET, &put->op.target);
  message.has_seq = put->op.has_seq;
  message.seq = put->op.seq;
  if (!put->op.internal &&
      kad_rpc_send(node, holder, &message, on_version_event, &put->op.queries,
                   NULL) == 0) {
    put->versions.open++;
  }
}

static void on_replica_end(struct kad_node *node, struct kad_fanout *fanout,
                           const struct kad_replica *replica,
                           const struct kad_message *message) {
  struct put *put = kad_container_of(fanout, struct put, fanout);
  if (replica->state == KAD_REPLICA_STORED) {
    put->op.stored++;
    put->remote_stored++;
  } else if (message != NULL && message->kind == KAD_MESSAGE_ERROR) {
    put->rejected = true;
    kad_operation_keep_error(node, &put->op, message);
    if (is_conflict(put, message->code)) {
      put->versions.conflicts++;
      ask_version(node, put, &replica->contact);
    }
  }
  end_if_done(node, put);
}

static const struct kad_fanout_kind fanout_kind = {
    .write = write_query,
    .replica_ended = on_replica_end,
};

static void on_admission_end(struct kad_node *node,
                             const struct kad_admission *admission,
                             void *data) {
  struct local_store *local = data;
  struct put *put = local->put;
  kad_release(&node->env.allocator, local, sizeof *local);
  if (put == NULL) {
    return;
  }
  put->local = NULL;
  put->op.stored += admission->stored;
  put->life_s = admission->stored > 0 ? admission->life_s : put->life_s;
  put->versions.conflicts +=
      admission->stored == 0 && is_conflict(put, admission->outcomes[0].code);
  if (admission->stored == 0 && put->op.code == 0) {
    put->op.code = admission->outcomes[0].code;
    kad_operation_keep_text(node, &put->op, kad_admission_reason(admission, 0));
  }
  end_if_done(node, put);
}

/* Returns true if this node may hold the record. */
static bool may_hold(const struct kad_node *node, const struct put *put) {
  return kad_node_serves(node) && put->record.count > 0;
}

static void copy_state(const struct kad_candidate *candidate,
                       struct kad_replica *replica) {
  replica->token_len = candidate->token_len;
  memcpy(replica->token, candidate->token, candidate->token_len);
  replica->knows_ttl = candidate->knows_ttl;
  replica->has_seq = candidate->has_seq;
  replica->seq = candidate->seq;
}

/* Adds the closest candidates of a lookup as replicas: those that gave a token,
 * and those that the lookup had no need to query. A contact that answered
 * without a token has no room, or does not support the query. */
static void add_replicas(struct kad_node *node, struct put *put,
                         const struct kad_lookup *lookup) {
  const struct kad_candidate *closest[CONTACTS_FACTOR * KAD_K_MAX];
  const uint8_t group = (uint8_t)lookup->config.family;
  size_t count = kad_paths_holders(&lookup->paths, true, closest,
                                   (size_t)CONTACTS_FACTOR * lookup->config.k);
  if (kad_fanout_reserve(node, &put->fanout, count) != 0) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (closest[i]->token_len > 0 || closest[i]->state == KAD_CANDIDATE_HEARD) {
      copy_state(closest[i],
                 kad_fanout_add(&put->fanout, &closest[i]->contact, group));
    }
  }
}

/* Returns true if this node is closer to the key than one of `count` contacts.
 */
static bool is_closer_than_one(const struct kad_node *node,
                               const struct put *put,
                               const struct kad_candidate *const *contacts,
                               size_t count) {
  for (size_t i = count; i-- > 0;) {
    if (kad_id_compare(&put->op.target, &node->config.id,
                       &contacts[i]->contact.id) < 0) {
      return true;
    }
  }
  return false;
}

/* Starts the stores at the k closest that the lookup of a family has found. If
 * this node is one of the k closest, it replaces one contact. */
static void store_at_closest(struct kad_node *node, struct put *put,
                             const struct kad_lookup *lookup) {
  const struct kad_candidate *closest[KAD_K_MAX];
  const uint32_t k = lookup->config.k;
  const size_t count = kad_paths_holders(&lookup->paths, false, closest, k);
  size_t wanted = count;
  put->answered = put->answered || count > 0;
  if (may_hold(node, put) && count > 0 &&
      (count < k || is_closer_than_one(node, put, closest, count))) {
    put->holds = true;
    wanted -= count == k;
  }
  put->replicas += (uint32_t)wanted;
  add_replicas(node, put, lookup);
  kad_fanout_start(node, &put->fanout, (uint8_t)lookup->config.family, wanted);
}

/* Starts the stores at the k closest contacts of a sybil search. */
static void store_at_searched(struct kad_node *node, struct put *put,
                              unsigned family) {
  struct kad_contact found[CONTACTS_FACTOR * KAD_K_MAX];
  const uint8_t group = (uint8_t)(SYBIL_GROUP + family);
  const size_t k = put->op.options.k;
  const size_t count = kad_sybil_search_contacts(&put->op, family, found,
                                                 (size_t)CONTACTS_FACTOR * k);
  if (kad_fanout_reserve(node, &put->fanout, count) != 0) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (!kad_fanout_has(&put->fanout, &found[i])) {
      (void)kad_fanout_add(&put->fanout, &found[i], group);
    }
  }
  kad_fanout_start(node, &put->fanout, group, k);
}

/* Starts the store at this node. */
static void store_locally(struct kad_node *node, struct put *put) {
  struct local_store *local = kad_alloc(&node->env.allocator, sizeof *local);
  const struct kad_admission_request request = {
      .records = put->record.records,
      .count = 1,
      .validated = true,
      .has_cas = put->op.options.has_cas,
      .cas = put->op.options.cas,
      .reason = put->republishes ? KAD_REASON_REPUBLISH : KAD_REASON_STORE,
      .done = on_admission_end,
      .data = local,
  };
  if (local == NULL) {
    return;
  }
  local->put = put;
  put->local = local;
  put->local_asked = true;
  if (kad_admission_start(node, &request) != 0) {
    kad_release(&node->env.allocator, local, sizeof *local);
    put->local = NULL;
  }
}

/* Returns when the stores have to be done. Extends the deadline of a republish,
 * whose stores wait for the store budget, which it shares with others. */
static kad_time_ms extend_deadline(struct kad_node *node, struct put *put) {
  struct kad_timer *overdue = &put->op.overdue;
  if (put->republishes) {
    kad_time_ms span = kad_store_budget_span(
        &node->store_budget, KAD_REPUBLISHES_MIN * node->config.k);
    kad_timer_set(node, overdue, kad_time_add(overdue->deadline.at, span),
                  overdue->fire);
  }
  return overdue->deadline.at;
}

/* If no contact has answered, this node holds the record. Of the records that
 * are republished, it stores only publications: it holds the others already. */
static void start_stores(struct kad_node *node, struct kad_operation *op) {
  struct put *put = put_of(op);
  if (put->versions.is_proven) {
    op->code = op->options.has_cas ? KAD_CODE_CAS : KAD_CODE_SEQ;
    kad_operation_end(node, op, conflict_error(put));
    return;
  }
  put->starting = true;
  put->fanout.kind = &fanout_kind;
  put->fanout.target = op->target;
  put->fanout.end_at = extend_deadline(node, put);
  put->fanout.paced = put->republishes;
  put->fanout.queries.user = !op->internal;
  if (put->record.count == 0) {
    put->life_s =
        life_of(kad_ruleset_type(node->ruleset, kad_slice_of("peers")), 0);
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (op->lookups[i] != NULL) {
      store_at_closest(node, put, op->lookups[i]);
      store_at_searched(node, put, op->lookups[i]->config.family);
    }
  }
  put->holds = put->holds || (!put->answered && may_hold(node, put));
  if (put->holds && (put->publication || !put->republishes)) {
    store_locally(node, put);
  }
  put->starting = false;
  end_if_done(node, put);
}

static void report_put(struct kad_node *node, struct kad_operation *op,
                       struct kad_result *result) {
  const struct put *put = put_of(op);
  (void)node;
  result->messages += put->fanout.messages;
  result->asked = put->fanout.asked + put->local_asked;
  result->ttl = put->life_s;
  result->has_seq = put->versions.has_seq;
  result->seq = put->versions.seq;
}

static void stop_put(struct kad_node *node, struct kad_operation *op) {
  struct put *put = put_of(op);
  if (put->local != NULL) {
    put->local->put = NULL;
  }
  kad_fanout_stop(node, &put->fanout);
  kad_bundle_free(&put->record, &node->env.allocator);
}

static const struct kad_operation_kind put_kind = {
    .method = KAD_METHOD_FIND_VALUE,
    .timed = KAD_TIMED_PUT,
    .start = start_put,
    .looked_up = start_stores,
    .apply_result = apply_validate,
    .report = report_put,
    .stop = stop_put,
};

/* Reads a reply of the lookup before a put of an item. A contact that holds a
 * newer version than the put may replace returns it: then nothing is stored. */
static bool note_version(struct kad_node *node, struct kad_lookup *lookup,
                         const struct kad_contact *from,
                         const struct kad_message *reply) {
  struct put *put = put_of(lookup->config.owner);
  (void)from;
  kad_item_versions_read(node, &put->versions, put->record.records, put->op.seq,
                         reply);
  return false;
}

static const struct kad_operation_kind put_item_kind = {
    .method = KAD_METHOD_GET,
    .timed = KAD_TIMED_PUT_ITEM,
    .start = start_put,
    .replied = note_version,
    .looked_up = start_stores,
    .apply_result = apply_validate,
    .report = report_put,
    .stop = stop_put,
};

static const struct kad_operation_kind announce_kind = {
    .method = KAD_METHOD_GET_PEERS,
    .timed = KAD_TIMED_ANNOUNCE,
    .start = kad_operation_look_up,
    .looked_up = start_stores,
    .report = report_put,
    .stop = stop_put,
};

static const struct kad_operation_kind *kind_of(
    const struct kad_record *record) {
  return kad_item_kind_of(record->type) != KAD_ITEM_NONE ? &put_item_kind
                                                         : &put_kind;
}

/* Makes a put of `record`. The lookup skips all values: it needs only tokens.
 */
static int make_put(struct kad_node *node,
                    const struct kad_operation_request *request,
                    const struct kad_record *record, struct kad_operation **op,
                    kad_operation_id *operation) {
  struct kad_bundle copy = {0};
  int error = kad_bundle_copy(&copy, &node->env.allocator, record, 1);
  if (error != 0) {
    return error;
  }
  error = kad_operation_new(node, request, op, operation);
  if (error != 0) {
    kad_bundle_free(&copy, &node->env.allocator);
    return error;
  }
  put_of(*op)->record = copy;
  (*op)->skip = UINT32_MAX;
  (*op)->has_seq = copy.records->publisher != NULL;
  (*op)->seq = (*op)->options.has_cas ? (*op)->options.cas : copy.records->seq;
  return 0;
}

int kad_node_put(struct kad_node *node, const struct kad_record *record,
                 const struct kad_lookup_options *options, kad_done_fn done,
                 void *data, kad_operation_id *operation) {
  struct kad_operation *op;
  if (node == NULL || record == NULL || record->type.len == 0) {
    return KAD_EINVAL;
  }
  const struct kad_operation_request request = {.kind = kind_of(record),
                                                .size = sizeof(struct put),
                                                .options = options,
                                                .target = &record->key,
                                                .type = record->type,
                                                .done = done,
                                                .data = data};
  return make_put(node, &request, record, &op, operation);
}

int kad_put_republish(struct kad_node *node, const struct kad_record *record,
                      bool publication, kad_done_fn done, void *data) {
  struct kad_operation *op;
  const struct kad_operation_request request = {.kind = kind_of(record),
                                                .size = sizeof(struct put),
                                                .target = &record->key,
                                                .type = record->type,
                                                .done = done,
                                                .data = data,
                                                .internal = true};
  int error = make_put(node, &request, record, &op, NULL);
  if (error == 0) {
    op->timed = KAD_TIMED_REPUBLISH;
    put_of(op)->republishes = true;
    put_of(op)->publication = publication;
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
  int error = kad_operation_new(node, &request, &op, operation);
  if (error == 0) {
    put_of(op)->port = port;
  }
  return error;
}

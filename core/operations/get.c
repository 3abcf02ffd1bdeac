/* Reading records: a lookup finds them, the type's hooks validate each, merge
 * all into one list, and select what the user gets.
 *
 *   looked up ─► validate each ─► merge each ─► select ─► ended
 *       └─► further pages from contacts that hold more than fits in a reply
 */
#include "base/time.h"
#include "engine/node.h"
#include "operations/read.h"
#include "records/item.h"
#include "replication/read_repair.h"
#include "replication/record_check.h"
#include "rpc/record_query.h"

#include <string.h>

enum {
  CONTACT_SHIFT = 16 /* of the contact's number in the tag of a query */
};

enum get_step {
  GET_VALIDATE,
  GET_MERGE,
  GET_SELECT
};

struct get {
  struct kad_read read;
  uint8_t salt[KAD_SALT_MAX]; /* of a mutable item; options.salt borrows it */
  bool has_claim;
  int64_t claim; /* highest sequence number that a reply has named */
  struct kad_found_records found;
  uint32_t open_pages; /* queries for further pages under way */
  enum get_step step;
  struct kad_bundle results; /* what the user gets */
};

/* A part of the records that a contact holds. */
struct page {
  const struct kad_contact *from;
  uint32_t number; /* of the contact */
  uint32_t skip;   /* records before the first one */
  bool is_first;   /* its query had no token to prove our address, so a large
                      record may be missing */
};

static struct get *get_of(struct kad_operation *op) {
  return kad_container_of(op, struct get, read.op);
}

/* Returns true if the user does not want `record`, because a version of this
 * item that is not older is known. */
static bool is_known_version(const struct kad_operation *op,
                             const struct kad_record *record) {
  return op->has_seq && record->has_seq && record->seq <= op->seq;
}

/* Returns true if `record` is an item with another salt than the user names. It
 * may be held here: then its key is right all the same. */
static bool has_other_salt(const struct kad_operation *op,
                           const struct kad_record *record) {
  return op->kind->method == KAD_METHOD_GET &&
         !kad_slice_equal(record->salt, op->options.salt);
}

/* Adds a record that the contact `number` has returned, if it keeps the rules
 * of its type. A record that was found before is not verified again. Returns
 * the code of the KRPC error of a record that is not added, else 0. */
static int add_record(struct kad_node *node, struct get *get, uint32_t number,
                      const struct kad_record *record) {
  const char *reason = NULL;
  int code = 0;
  if (is_known_version(&get->read.op, record)) {
    return KAD_CODE_SEQ;
  }
  if (has_other_salt(&get->read.op, record)) {
    return KAD_CODE_PROTOCOL;
  }
  if (!kad_found_records_has(&get->found, record)) {
    code = kad_record_check_type(node, get->read.type, record, &reason);
  }
  if (code == 0) {
    kad_found_records_add(&get->found, &node->env.allocator, number, record);
  }
  return code;
}

static void add_held(struct kad_node *node, struct kad_read *read,
                     const struct kad_record *record) {
  (void)add_record(node, kad_container_of(read, struct get, read), 0, record);
}

static void start_get(struct kad_node *node, struct kad_operation *op) {
  struct get *get = get_of(op);
  kad_found_records_init(&get->found, &node->env.allocator);
  if (op->kind->method == KAD_METHOD_GET &&
      node->config.id_bits != KAD_ITEM_ID_BITS) {
    kad_operation_keep_text(node, op,
                            kad_slice_of("items need ids of 160 bits"));
    kad_operation_end(node, op, KAD_EREFUSED);
    return;
  }
  kad_read_start(node, &get->read, op->type, add_held);
}

/* --------------------------------------------------------------- pages -- */

static void process_records(struct kad_node *node, struct kad_operation *op);

static void on_page_event(struct kad_node *node, struct kad_query *query,
                          enum kad_query_event event,
                          const struct kad_message *message);

/* Returns true if the page behind the first `read` records of a contact is
 * worth a query: there is one, the last one has brought us further or will do
 * so with a token, and the time is not up. If all records of another contact
 * that holds at least as many were read, a further page is worth a query only
 * if the last one had a new record (`has_news`). */
static bool wants_page(const struct kad_node *node, const struct get *get,
                       const struct page *page, const struct kad_message *reply,
                       uint32_t read, bool has_news) {
  const struct kad_operation *op = &get->read.op;
  const bool advances =
      read > page->skip || (page->is_first && reply->token.len > 0);
  kad_time_ms since = kad_time_since(op->started_at, kad_node_now(node));
  return reply->has_total && advances && read < reply->total &&
         (get->found.complete_max < reply->total || has_news) &&
         read < KAD_FOUND_RECORDS_MAX &&
         get->found.count < KAD_FOUND_RECORDS_MAX &&
         since < op->options.deadline_ms;
}

/* Sends the query for the page behind `page`. Its token proves our address, so
 * that the reply may be much larger than the query. */
static void send_page_query(struct kad_node *node, struct get *get,
                            const struct page *page, struct kad_slice token,
                            uint32_t skip) {
  struct kad_message message;
  struct kad_query *query;
  kad_message_init_query(&message, get->read.op.kind->method,
                         &get->read.op.target);
  message.type = get->read.op.type;
  message.skip = skip;
  message.has_seq = get->read.op.has_seq;
  message.seq = get->read.op.seq;
  message.token = token;
  if (kad_rpc_send(node, page->from, &message, on_page_event,
                   &get->read.op.queries, &query) == 0) {
    query->tag = page->number << CONTACT_SHIFT | skip;
    get->open_pages++;
  }
}

/* Ends the reply of a contact with a bad signature: the contact has verified
 * nothing, and to verify the rest costs us more than sending it costs the
 * contact. What it holds besides is not asked for. */
static void end_page(struct kad_node *node, struct get *get,
                     const struct page *page) {
  const struct kad_contact from = *page->from;
  node->stats.bad_signature++;
  kad_found_records_note_read(&get->found, page->number, 0, UINT32_MAX);
  node->events->contact_failed(node, &from);
}

/* Adds the records of a page. Returns the number of those before a bad
 * signature, all if there is none, and how many of them are valid. A reply has
 * no salt: an item has that which the user names. */
static size_t add_records(struct kad_node *node, struct get *get,
                          const struct page *page,
                          const struct kad_message *reply, size_t *valid) {
  const struct kad_operation *op = &get->read.op;
  const size_t count = kad_record_reply_count(reply, op->type);
  for (size_t i = 0; i < count; i++) {
    struct kad_record record = reply->records[i];
    record.key = op->target;
    record.type = op->type;
    if (reply->has_item && record.publisher != NULL) {
      record.salt = op->options.salt;
    }
    const int code = add_record(node, get, page->number, &record);
    if (code == KAD_CODE_SIGNATURE && record.publisher != NULL) {
      return i;
    }
    *valid += code == 0;
  }
  return count;
}

/* Keeps the highest sequence number that a reply has named. */
static void note_claim(struct get *get, const struct kad_message *reply) {
  if (reply->has_seq && (!get->has_claim || reply->seq > get->claim)) {
    get->has_claim = true;
    get->claim = reply->seq;
  }
}

/* Adds a page, and asks for the next. Returns true if it has valid records. */
static bool add_page(struct kad_node *node, struct get *get,
                     const struct page *page, const struct kad_message *reply) {
  const size_t before = get->found.count;
  const size_t count = kad_record_reply_count(reply, get->read.op.type);
  size_t valid = 0;
  const uint32_t behind = page->skip + (uint32_t)count;
  const uint32_t read =
      reply->has_next && reply->next > behind ? reply->next : behind;
  note_claim(get, reply);
  if (add_records(node, get, page, reply, &valid) < count) {
    end_page(node, get, page);
    return valid > 0;
  }
  kad_found_records_note_read(&get->found, page->number, read,
                              reply->has_total ? reply->total : read);
  if (wants_page(node, get, page, reply, read, get->found.count > before)) {
    send_page_query(node, get, page, reply->token, read);
  }
  return valid > 0;
}

static void on_page_event(struct kad_node *node, struct kad_query *query,
                          enum kad_query_event event,
                          const struct kad_message *message) {
  struct get *get = get_of(kad_operation_of_query(query));
  struct kad_operation *op = &get->read.op;
  if (event == KAD_QUERY_SOFT || op->state != KAD_OPERATION_RUNNING) {
    return;
  }
  get->open_pages--;
  if (event == KAD_QUERY_REPLY) {
    const struct page page = {
        .from = &query->to,
        .number = query->tag >> CONTACT_SHIFT,
        .skip = query->tag & ((1U << CONTACT_SHIFT) - 1),
    };
    (void)add_page(node, get, &page, message);
  }
  if (op->lookups_open == 0) {
    process_records(node, op);
  }
}

/* Adds the first page of a contact. */
static bool add_reply(struct kad_node *node, struct kad_lookup *lookup,
                      const struct kad_contact *from,
                      const struct kad_message *reply) {
  struct get *get = get_of(lookup->config.owner);
  const struct page first = {
      .from = from,
      .number = kad_found_records_add_contact(&get->found, &from->id),
      .is_first = true};
  return add_page(node, get, &first, reply);
}

/* --------------------------------------------------------------- hooks -- */

/* Replaces the results by copies of `records`. When out of memory they stay. */
static void set_results(struct kad_node *node, struct get *get,
                        const struct kad_record *records, size_t count) {
  const struct kad_operation *op = &get->read.op;
  const struct kad_record named = {.key = op->target, .type = op->type};
  struct kad_bundle copies = {0};
  if (count > 0 && kad_bundle_copy_as(&copies, &node->env.allocator, &named,
                                      records, count) != 0) {
    return;
  }
  kad_bundle_free(&get->results, &node->env.allocator);
  get->results = copies;
}

/* Applies the result of the hook of the current step. */
static void apply_result(struct kad_node *node, struct kad_operation *op,
                         const struct kad_hook_result *result) {
  struct get *get = get_of(op);
  const bool accepted = result->verdict == KAD_VERDICT_ACCEPT;
  const size_t index = get->read.index++;
  switch (get->step) {
  case GET_VALIDATE:
    get->found.items[index].valid = accepted;
    return;
  case GET_MERGE:
  case GET_SELECT:
    if (accepted) {
      set_results(node, get, result->records, result->record_count);
    }
    return;
  }
}

/* Validates the next record. Returns false if the hook call is pending. */
static bool validate_next(struct kad_node *node, struct get *get) {
  struct kad_hook_call call = {
      .record = get->found.items[get->read.index].copy.records};
  return kad_read_call_hook(node, &get->read, get->read.type->validate, &call);
}

/* Merges the next record into the results. Returns false if the hook call is
 * pending. */
static bool merge_next(struct kad_node *node, struct get *get) {
  const struct kad_found_record *item = &get->found.items[get->read.index];
  struct kad_hook_call call = {.record = item->copy.records,
                               .held = get->results.records,
                               .held_count = get->results.count};
  if (!item->valid) {
    get->read.index++;
    return true;
  }
  return kad_read_call_hook(node, &get->read, get->read.type->merge, &call);
}

static void merge_by_default(struct kad_node *node, struct get *get) {
  struct kad_record records[KAD_FOUND_RECORDS_MAX];
  size_t count = kad_found_records_merge(&get->found, records);
  if (count > 1 && get->read.op.kind->method == KAD_METHOD_GET) {
    count = 1; /* the highest sequence number, then the most holders */
  }
  set_results(node, get, records, count);
  get->read.index = get->found.count;
}

/* Selects among the results. Returns false if the hook call is pending. */
static bool select_results(struct kad_node *node, struct get *get) {
  struct kad_hook_call call = {.held = get->results.records,
                               .held_count = get->results.count};
  if (get->read.type->select == NULL || get->results.count == 0 ||
      get->read.index > 0) {
    return true;
  }
  return kad_read_call_hook(node, &get->read, get->read.type->select, &call);
}

/* Returns true if others may be sent what was found. Peers announce themselves.
 * The application does not want copies of records that are not republished. A
 * holder does not lack values beyond max_values. The contacts near a dense key
 * are not trusted. */
static bool may_be_copied(const struct get *get) {
  const struct kad_type *type = get->read.type;
  return get->results.count > 0 && get->read.op.sybil_search == NULL &&
         get->results.count <= type->max_values &&
         get->results.count <= KAD_FOUND_RECORDS_MAX &&
         type->republish != UINT32_MAX &&
         !kad_slice_equal(get->read.op.type, kad_slice_of("peers"));
}

/* Sends the merged records to contacts that lack them. */
static void repair(struct kad_node *node, const struct get *get) {
  struct kad_record records[KAD_FOUND_RECORDS_MAX];
  const struct kad_read_repair repair = {.target = &get->read.op.target,
                                         .type = get->read.type,
                                         .records = records,
                                         .count = get->results.count,
                                         .found = &get->found};
  if (!may_be_copied(get)) {
    return;
  }
  for (size_t i = 0; i < get->results.count; i++) {
    records[i] = get->results.records[i];
    records[i].ttl = kad_found_records_ttl(&get->found, &records[i]);
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (get->read.op.lookups[i] != NULL) {
      kad_read_repair_send(node, &repair, get->read.op.lookups[i]);
    }
  }
}

/* Processes the records that were found, until a hook call is pending. */
static void process_records(struct kad_node *node, struct kad_operation *op) {
  struct get *get = get_of(op);
  if (get->open_pages > 0) {
    return;
  }
  while (get->step == GET_VALIDATE && get->read.index < get->found.count) {
    if (!validate_next(node, get)) {
      return;
    }
  }
  if (get->step == GET_VALIDATE) {
    get->step = GET_MERGE;
    get->read.index = 0;
    if (get->read.type->merge == NULL) {
      merge_by_default(node, get);
    }
  }
  while (get->step == GET_MERGE && get->read.index < get->found.count) {
    if (!merge_next(node, get)) {
      return;
    }
  }
  if (get->step == GET_MERGE) {
    get->step = GET_SELECT;
    get->read.index = 0;
    repair(node, get);
  }
  if (select_results(node, get)) {
    kad_operation_end_search(node, op, get->results.count > 0);
  }
}

/* ----------------------------------------------------------- operation -- */

static void report_records(struct kad_node *node, struct kad_operation *op,
                           struct kad_result *result) {
  const struct get *get = get_of(op);
  (void)node;
  result->records = get->results.records;
  result->record_count = op->status == 0 ? get->results.count : 0;
  if (kad_item_kind_of(op->type) != KAD_ITEM_MUTABLE) {
    return;
  }
  result->has_seq = result->record_count > 0 || get->has_claim;
  result->seq = result->record_count > 0 ? result->records[0].seq : get->claim;
}

static void stop_get(struct kad_node *node, struct kad_operation *op) {
  struct get *get = get_of(op);
  kad_found_records_deinit(&get->found, &node->env.allocator);
  kad_bundle_free(&get->results, &node->env.allocator);
  kad_read_stop(node, &get->read);
}

static const struct kad_operation_kind get_kind = {
    .method = KAD_METHOD_FIND_VALUE,
    .timed = KAD_TIMED_GET,
    .start = start_get,
    .replied = add_reply,
    .looked_up = process_records,
    .apply_result = apply_result,
    .resume = process_records,
    .report = report_records,
    .stop = stop_get,
};

static const struct kad_operation_kind get_item_kind = {
    .method = KAD_METHOD_GET,
    .timed = KAD_TIMED_GET_ITEM,
    .start = start_get,
    .replied = add_reply,
    .looked_up = process_records,
    .apply_result = apply_result,
    .resume = process_records,
    .report = report_records,
    .stop = stop_get,
};

/* Sets what only a get of an item has. The value of an immutable item proves
 * itself: one is enough. */
static void set_item_options(struct kad_operation *op,
                             const struct kad_lookup_options *options) {
  struct get *get = get_of(op);
  op->options.salt = (struct kad_slice){NULL, 0};
  if (kad_item_kind_of(op->type) == KAD_ITEM_IMMUTABLE &&
      op->options.quorum == 0) {
    op->options.quorum = 1;
  }
  if (options == NULL || kad_item_kind_of(op->type) != KAD_ITEM_MUTABLE) {
    return;
  }
  op->has_seq = options->has_seq;
  op->seq = options->seq;
  if (options->salt.len > 0) {
    memcpy(get->salt, options->salt.data, options->salt.len);
    op->options.salt = (struct kad_slice){get->salt, options->salt.len};
  }
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_node_get(struct kad_node *node, const struct kad_id *key,
                 struct kad_slice type,
                 const struct kad_lookup_options *options, kad_done_fn done,
                 void *data, kad_operation_id *operation) {
  const bool is_item = kad_item_kind_of(type) != KAD_ITEM_NONE;
  struct kad_operation *op;
  const struct kad_operation_request request = {.kind = is_item ? &get_item_kind
                                                                : &get_kind,
                                                .size = sizeof(struct get),
                                                .options = options,
                                                .target = key,
                                                .type = type,
                                                .done = done,
                                                .data = data};
  if (node == NULL || key == NULL || type.len == 0 ||
      (options != NULL && options->salt.len > KAD_SALT_MAX)) {
    return KAD_EINVAL;
  }
  const int error = kad_operation_new(node, &request, &op, operation);
  if (error == 0) {
    set_item_options(op, options);
  }
  return error;
}

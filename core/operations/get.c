/* Reading records: a lookup gathers answers, then each is judged and validated,
 * merged into one list, and the type's `select` says what the reader gets.
 *
 *   looked up ─► validate each ─► merge each ─► select ─► ended
 *       └─► more pages of who holds more than one answer can carry
 */
#include "base/allocator.h"
#include "base/array.h"
#include "base/time.h"
#include "engine/node.h"
#include "records/record.h"
#include "replication/commit.h"
#include "replication/read_repair.h"
#include "replication/record_check.h"

#include <string.h>

enum {
  ANSWERS_MAX = 256,
  ANSWERS_GROWTH = 16,
  GIVERS_MAX = 64, /* contacts that are told apart; the rest count for none */
  GIVER_SHIFT = 16 /* of the giver's number in the tag of a query */
};

enum get_step {
  GET_VALIDATE,
  GET_MERGE,
  GET_SELECT
};

/* A distinct record that was found. */
struct found {
  struct kad_bundle copy;
  uint64_t givers;    /* a bit for each contact that gave it */
  uint32_t answers;   /* contacts that gave it */
  uint32_t longest_s; /* the longest life that one of them said is left */
  bool valid;
};

/* A part of what a contact gives: its records from the one `skip` on. */
struct page {
  const struct kad_contact *from;
  uint32_t giver; /* the number of the contact; ours is 0 */
  uint32_t skip;
};

struct get {
  struct kad_operation op;
  struct found *found;
  size_t count;
  size_t cap;
  uint32_t givers;             /* contacts that have replied */
  uint32_t most_read;          /* records of a contact that were all read */
  uint64_t partial;            /* bits of those that have more than was read */
  struct kad_id *giver_ids;    /* GIVERS_MAX, by number; or NULL */
  uint32_t pages_open;         /* queries for further pages under way */
  struct kad_ruleset *ruleset; /* kept while the answers are judged */
  const struct kad_type *type;
  enum get_step step;
  size_t index;              /* of the answer being judged, or merged */
  struct kad_bundle results; /* what the reader gets */
};

static struct get *get_of(struct kad_operation *op) {
  return kad_container_of(op, struct get, op);
}

/* Makes room for one more answer. Returns false when there is none. */
static bool make_room(struct kad_node *node, struct get *get) {
  const size_t cap = get->cap + ANSWERS_GROWTH;
  return get->count < get->cap ||
         (cap <= ANSWERS_MAX &&
          KAD_ARRAY_RESERVE(&node->env.allocator, &get->found, &get->cap,
                            cap) == 0);
}

static uint64_t bit_of(uint32_t giver) {
  return giver < GIVERS_MAX ? UINT64_C(1) << giver : 0;
}

/* Returns the number of the contact `id`, 0 for one that is not told apart. */
static uint32_t number_of(const struct get *get, const struct kad_id *id) {
  uint32_t most = get->givers < GIVERS_MAX - 1 ? get->givers : GIVERS_MAX - 1;
  for (uint32_t i = 1; get->giver_ids != NULL && i <= most; i++) {
    if (kad_id_equal(&get->giver_ids[i], id)) {
      return i;
    }
  }
  return 0;
}

/* Gives a contact that has replied a number. */
static uint32_t number(struct get *get, const struct kad_id *id) {
  const uint32_t made = ++get->givers;
  if (made < GIVERS_MAX && get->giver_ids != NULL) {
    get->giver_ids[made] = *id;
  }
  return made;
}

static void add_answer(struct kad_node *node, struct get *get, uint32_t giver,
                       const struct kad_record *record) {
  const uint64_t bit = bit_of(giver);
  for (size_t i = 0; i < get->count; i++) {
    struct found *found = &get->found[i];
    if (kad_record_identical(found->copy.records, record)) {
      found->answers += (found->givers & bit) != bit;
      found->givers |= bit;
      found->longest_s =
          record->ttl > found->longest_s ? record->ttl : found->longest_s;
      return;
    }
  }
  struct found made = {.givers = bit, .answers = 1, .longest_s = record->ttl};
  struct kad_record named = *record;
  named.key = get->op.target;
  named.type = get->op.type;
  if (make_room(node, get) &&
      kad_bundle_copy(&made.copy, &node->env.allocator, &named, 1) == 0) {
    get->found[get->count++] = made;
  }
}

static void run(struct kad_node *node, struct get *get);

/* Takes what becomes of a query for a further page; its tag says of whom, and
 * how many records came before. */
static void page_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message);

/* Tells whether it is worth asking for the page behind `seen` records: there is
 * one, and the time is not up. Where another contact has given all of as many,
 * only when `news`, a record that nobody else gave, says that these differ. */
static bool wants_page(const struct kad_node *node, const struct get *get,
                       const struct kad_message *reply, uint32_t seen,
                       bool news) {
  kad_time_ms since = kad_time_since(get->op.started_at, kad_node_now(node));
  return reply->has_total && reply->record_count > 0 && seen < reply->total &&
         (get->most_read < reply->total || news) && seen < ANSWERS_MAX &&
         get->count < ANSWERS_MAX && since < get->op.options.deadline_ms;
}

/* Notes how much of what a contact has was read. */
static void note_read(struct get *get, const struct page *page,
                      const struct kad_message *reply, uint32_t seen) {
  if (reply->has_total && seen < reply->total) {
    get->partial |= bit_of(page->giver);
    return;
  }
  get->partial &= ~bit_of(page->giver);
  get->most_read = seen > get->most_read ? seen : get->most_read;
}

/* Takes a page, and asks for the next one. */
static void take_page(struct kad_node *node, struct get *get,
                      const struct page *page,
                      const struct kad_message *reply) {
  struct kad_query *query;
  const size_t before = get->count;
  for (size_t i = 0; i < reply->record_count; i++) {
    add_answer(node, get, page->giver, &reply->records[i]);
  }
  uint32_t seen = page->skip + (uint32_t)reply->record_count;
  note_read(get, page, reply, seen);
  if (!wants_page(node, get, reply, seen, get->count > before)) {
    return;
  }
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_FIND_VALUE;
  message.has_target = true;
  message.target = get->op.target;
  message.type = get->op.type;
  message.skip = seen;
  if (kad_rpc_send(node, page->from, &message, page_event, &get->op.queries,
                   &query) == 0) {
    query->tag = page->giver << GIVER_SHIFT | seen;
    get->pages_open++;
  }
}

static void page_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct get *get = get_of(kad_operation_of_query(query));
  if (event == KAD_QUERY_SOFT || get->op.state != KAD_OPERATION_RUNNING) {
    return;
  }
  get->pages_open--;
  if (event == KAD_QUERY_REPLY) {
    const struct page page = {
        .from = &query->to,
        .giver = query->tag >> GIVER_SHIFT,
        .skip = query->tag & ((1U << GIVER_SHIFT) - 1),
    };
    take_page(node, get, &page, message);
  }
  if (get->pages_open == 0 && get->op.lookups_open == 0) {
    run(node, get);
  }
}

static bool take_records(struct kad_node *node, struct kad_lookup *lookup,
                         const struct kad_contact *from,
                         const struct kad_message *reply) {
  struct get *get = get_of(lookup->config.owner);
  const struct page first = {.from = from, .giver = number(get, &from->id)};
  take_page(node, get, &first, reply);
  return reply->record_count > 0;
}

static void start_get(struct kad_node *node, struct kad_operation *op) {
  struct get *get = get_of(op);
  const struct kad_record query = {.key = op->target, .type = op->type};
  struct kad_held_list held;
  get->ruleset = node->ruleset;
  kad_ruleset_retain(get->ruleset);
  get->type = kad_ruleset_type(get->ruleset, op->type);
  if (get->type == NULL) {
    kad_operation_end(node, op, KAD_ETYPE);
    return;
  }
  get->giver_ids =
      kad_alloc(&node->env.allocator, GIVERS_MAX * sizeof *get->giver_ids);
  if (kad_held_read(node, &query, get->type, &held) == 0) {
    for (size_t i = 0; i < held.count; i++) {
      add_answer(node, get, 0, &held.records[i]);
    }
    op->holders += held.count > 0;
    kad_held_free(node, &held);
  }
  kad_operation_look_further(node, op);
}

/* Replaces the results by copies of `records`. When out of memory they stay. */
static void set_results(struct kad_node *node, struct get *get,
                        const struct kad_record *records, size_t count) {
  struct kad_bundle copies = {0};
  const struct kad_record named = {.key = get->op.target, .type = get->op.type};
  if (count > 0 && kad_bundle_copy_as(&copies, &node->env.allocator, &named,
                                      records, count) != 0) {
    return;
  }
  kad_bundle_free(&get->results, &node->env.allocator);
  get->results = copies;
}

/* The order of the default select: highest seq, then most answers. */
static bool is_better(const struct found *a, const struct found *b) {
  int64_t seq_a = a->copy.records->seq;
  int64_t seq_b = b->copy.records->seq;
  return seq_a != seq_b ? seq_a > seq_b : a->answers > b->answers;
}

/* Returns true if another valid answer makes `found` obsolete. */
static bool is_obsolete(const struct get *get, const struct found *found) {
  for (size_t i = 0; i < get->count; i++) {
    if (get->found[i].valid &&
        kad_record_is_older(found->copy.records, get->found[i].copy.records)) {
      return true;
    }
  }
  return false;
}

/* The default merge: every valid answer that no other makes obsolete, best
 * first. */
static void merge_default(struct kad_node *node, struct get *get) {
  struct kad_record records[ANSWERS_MAX];
  const struct found *order[ANSWERS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < get->count; i++) {
    const struct found *found = &get->found[i];
    if (!found->valid || is_obsolete(get, found)) {
      continue;
    }
    size_t place = count++;
    for (; place > 0 && is_better(found, order[place - 1]); place--) {
      order[place] = order[place - 1];
    }
    order[place] = found;
  }
  for (size_t i = 0; i < count; i++) {
    records[i] = *order[i]->copy.records;
  }
  set_results(node, get, records, count);
}

/* Applies the result of the current step's hook, and goes to the next record.
 */
static void apply_result(struct kad_node *node, struct kad_operation *op,
                         const struct kad_hook_result *answer) {
  struct get *get = get_of(op);
  switch (get->step) {
  case GET_VALIDATE:
    get->found[get->index++].valid = answer->verdict == KAD_VERDICT_ACCEPT;
    return;
  case GET_MERGE:
  case GET_SELECT:
    get->index++;
    if (answer->verdict == KAD_VERDICT_ACCEPT) {
      set_results(node, get, answer->records, answer->record_count);
    }
    return;
  }
}

static bool call_hook(struct kad_node *node, struct get *get, kad_hook_fn hook,
                      struct kad_hook_call *call) {
  return kad_operation_call_hook(node, &get->op, get->ruleset, get->type, hook,
                                 call);
}

/* Judges the next answer. Returns false when it has to wait. */
static bool validate_next(struct kad_node *node, struct get *get) {
  struct found *found = &get->found[get->index];
  struct kad_hook_call call = {.reason = KAD_REASON_GET,
                               .record = found->copy.records};
  const char *reason = NULL;
  if (kad_record_check_type(get->type, found->copy.records,
                            node->config.id_bits, &reason) != 0) {
    get->index++;
    return true;
  }
  return call_hook(node, get, get->type->validate, &call);
}

/* Merges the next answer into the results. Returns false when it has to wait.
 */
static bool merge_next(struct kad_node *node, struct get *get) {
  const struct found *found = &get->found[get->index];
  struct kad_hook_call call = {.reason = KAD_REASON_GET,
                               .record = found->copy.records,
                               .held = get->results.records,
                               .held_count = get->results.count};
  if (!found->valid) {
    get->index++;
    return true;
  }
  return call_hook(node, get, get->type->merge, &call);
}

/* Has the policy select among the results. Returns false when it has to wait.
 */
static bool select_results(struct kad_node *node, struct get *get) {
  struct kad_hook_call call = {.reason = KAD_REASON_GET,
                               .held = get->results.records,
                               .held_count = get->results.count};
  return call_hook(node, get, get->type->select, &call);
}

/* ------------------------------------------------ what is left behind -- */

static enum kad_known_content gift_of(const void *giver,
                                      const struct kad_id *contact) {
  const struct get *get = giver;
  const uint64_t bit = bit_of(number_of(get, contact));
  if (bit == bit_of(0) || (get->partial & bit) != 0) {
    return KAD_KNOWN_CONTENT_PARTIAL;
  }
  for (size_t i = 0; i < get->count; i++) {
    if ((get->found[i].givers & bit) != 0) {
      return KAD_KNOWN_CONTENT_ALL;
    }
  }
  return KAD_KNOWN_CONTENT_NONE;
}

/* Returns what was found that is `record`, or NULL if a merge has made it. */
static const struct found *find(const struct get *get,
                                const struct kad_record *record) {
  for (size_t i = 0; i < get->count; i++) {
    if (kad_record_identical(get->found[i].copy.records, record)) {
      return &get->found[i];
    }
  }
  return NULL;
}

static bool gave(const void *giver, const struct kad_id *contact,
                 const struct kad_record *record) {
  const struct get *get = giver;
  const struct found *found = find(get, record);
  return found != NULL &&
         (found->givers & bit_of(number_of(get, contact))) != 0;
}

/* Returns the longest life that a valid answer has left. */
static uint32_t longest_life(const struct get *get) {
  uint32_t longest = 0;
  for (size_t i = 0; i < get->count; i++) {
    const struct found *found = &get->found[i];
    longest =
        found->valid && found->longest_s > longest ? found->longest_s : longest;
  }
  return longest;
}

/* Returns true if others may be given what was found. Peers speak for
 * themselves, and what its type keeps from being republished stays where it was
 * put: the application does not want copies of it. More values than a holder
 * keeps are not all missed. Around a crowded key there is nobody to trust. */
static bool may_be_copied(const struct get *get) {
  return get->results.count > 0 && get->op.region == NULL &&
         get->results.count <= get->type->max_values &&
         get->type->republish != UINT32_MAX &&
         !kad_slice_equal(get->op.type, kad_slice_of("peers"));
}

/* Leaves the merged records with who lacks them. What a merge has made lives as
 * long as what it was made of. */
static void leave_copies(struct kad_node *node, const struct get *get) {
  struct kad_record records[ANSWERS_MAX];
  const struct kad_read_repair copies = {.target = &get->op.target,
                                         .type = get->type,
                                         .records = records,
                                         .count = get->results.count,
                                         .giver = get,
                                         .gift = gift_of,
                                         .gave = gave};
  if (!may_be_copied(get) || get->results.count > ANSWERS_MAX) {
    return;
  }
  const uint32_t longest = longest_life(get);
  for (size_t i = 0; i < get->results.count; i++) {
    const struct found *found = find(get, &get->results.records[i]);
    records[i] = get->results.records[i];
    records[i].ttl = found != NULL ? found->longest_s : longest;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (get->op.lookups[i] != NULL) {
      kad_read_repair_run(node, &copies, get->op.lookups[i]);
    }
  }
}

static void end_get(struct kad_node *node, struct get *get) {
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  int status = 0;
  if (get->results.count == 0) {
    status = kad_operation_closest(&get->op, closest) > 0
                 ? KAD_ENOTFOUND
                 : kad_operation_silence(&get->op);
  }
  kad_operation_end(node, &get->op, status);
}

/* Goes on until the get has to wait or has ended. */
static void run(struct kad_node *node, struct get *get) {
  for (; get->step == GET_VALIDATE && get->index < get->count;) {
    if (!validate_next(node, get)) {
      return;
    }
  }
  if (get->step == GET_VALIDATE) {
    get->step = GET_MERGE;
    get->index = get->type->merge != NULL ? 0 : get->count;
    if (get->type->merge == NULL) {
      merge_default(node, get);
    }
  }
  for (; get->step == GET_MERGE && get->index < get->count;) {
    if (!merge_next(node, get)) {
      return;
    }
  }
  if (get->step == GET_MERGE) {
    get->step = GET_SELECT;
    get->index = 0;
    leave_copies(node, get);
  }
  bool asks = get->type->select != NULL && get->results.count > 0;
  if (asks && get->index == 0 && !select_results(node, get)) {
    return;
  }
  end_get(node, get);
}

static void judge_answers(struct kad_node *node, struct kad_operation *op) {
  if (get_of(op)->pages_open == 0) {
    run(node, get_of(op));
  }
}

static void report_records(struct kad_node *node, struct kad_operation *op,
                           struct kad_result *result) {
  (void)node;
  result->records = get_of(op)->results.records;
  result->record_count = op->status == 0 ? get_of(op)->results.count : 0;
}

static void stop_get(struct kad_node *node, struct kad_operation *op) {
  struct get *get = get_of(op);
  for (size_t i = 0; i < get->count; i++) {
    kad_bundle_free(&get->found[i].copy, &node->env.allocator);
  }
  KAD_ARRAY_FREE(&node->env.allocator, &get->found, &get->cap);
  kad_release(&node->env.allocator, get->giver_ids,
              get->giver_ids != NULL ? GIVERS_MAX * sizeof *get->giver_ids : 0);
  kad_bundle_free(&get->results, &node->env.allocator);
  if (get->ruleset != NULL) {
    kad_ruleset_drop(get->ruleset, &node->env.allocator);
  }
}

static const struct kad_operation_kind get_kind = {
    .method = KAD_METHOD_FIND_VALUE,
    .start = start_get,
    .replied = take_records,
    .looked_up = judge_answers,
    .apply_result = apply_result,
    .resume = judge_answers,
    .report = report_records,
    .stop = stop_get,
};

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_node_get(struct kad_node *node, const struct kad_id *key,
                 struct kad_slice type,
                 const struct kad_lookup_options *options, kad_done_fn done,
                 void *data, kad_operation_id *operation) {
  const struct kad_operation_request request = {.kind = &get_kind,
                                                .size = sizeof(struct get),
                                                .options = options,
                                                .target = key,
                                                .type = type,
                                                .done = done,
                                                .data = data};
  struct kad_operation *op;
  if (node == NULL || key == NULL || type.len == 0) {
    return KAD_EINVAL;
  }
  int error = kad_operation_new(node, &request, &op);
  if (error == 0 && operation != NULL) {
    *operation = op->name;
  }
  return error;
}

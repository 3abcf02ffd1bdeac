#include "operations/operation.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "operations/sybil_search.h"

#include <string.h>

static void unlink_operation(struct kad_node *node, struct kad_operation *op) {
  struct kad_operations *all = &node->operations;
  *(op->previous != NULL ? &op->previous->next : &all->first) = op->next;
  *(op->next != NULL ? &op->next->previous : &all->last) = op->previous;
  all->count--;
}

static void link_operation(struct kad_node *node, struct kad_operation *op) {
  struct kad_operations *all = &node->operations;
  op->previous = all->last;
  *(all->last != NULL ? &all->last->next : &all->first) = op;
  all->last = op;
  all->count++;
}

static void free_operation(struct kad_node *node, struct kad_operation *op) {
  kad_timer_cancel(node, &op->timer);
  kad_timer_cancel(node, &op->overdue);
  if (op->call_id != 0) {
    kad_hook_call_cancel(node, op->call_id);
  }
  if (op->kind->stop != NULL) {
    op->kind->stop(node, op);
  }
  kad_rpc_disown(node, &op->queries);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (op->lookups[i] != NULL) {
      kad_lookup_free(node, op->lookups[i]);
    }
  }
  kad_sybil_search_free(node, op);
  kad_release(&node->env.allocator, op->text, op->text_len);
  kad_release(&node->env.allocator, op, op->size);
}

static bool has_lookups(const struct kad_operation *op) {
  return op->kind->looked_up != NULL;
}

static void end_overdue(struct kad_node *node, struct kad_timer *timer) {
  struct kad_operation *op =
      kad_container_of(timer, struct kad_operation, overdue);
  kad_operation_end(node, op, KAD_ETIMEOUT);
}

static void start_operation(struct kad_node *node, struct kad_timer *timer) {
  struct kad_operation *op =
      kad_container_of(timer, struct kad_operation, timer);
  kad_time_ms most = (kad_time_ms)op->options.deadline_ms +
                     node->config.query_ms + KAD_OVERDUE_MS;
  op->state = KAD_OPERATION_RUNNING;
  op->started_at = kad_node_now(node);
  kad_timer_set(node, &op->overdue, kad_time_add(op->started_at, most),
                end_overdue);
  if (has_lookups(op)) {
    op->counted = true;
    node->operations.running++;
  }
  op->kind->start(node, op);
}

/* Starts queued operations, oldest first, until max_lookups run. */
static void start_queued(struct kad_node *node) {
  uint32_t running = node->operations.running;
  for (struct kad_operation *op = node->operations.first; op != NULL;
       op = op->next) {
    if (op->state != KAD_OPERATION_QUEUED || !has_lookups(op)) {
      continue;
    }
    if (running >= node->config.max_lookups) {
      return;
    }
    running++;
    if (!op->timer.deadline.queued) {
      kad_timer_set(node, &op->timer, kad_node_now(node), start_operation);
    }
  }
}

/* Calls the callback with the result. */
static void call_done(struct kad_node *node, struct kad_operation *op) {
  struct kad_contact contacts[2 * KAD_K_MAX];
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  struct kad_result result = {
      .operation = op->id,
      .status = op->status,
      .code = op->code,
      .took_ms = (uint32_t)kad_time_since(op->started_at, kad_node_now(node)),
      .stored = op->stored,
      .holders = op->holders,
  };
  result.reason = (struct kad_slice){.data = op->text, .len = op->text_len};
  result.closest_count = kad_operation_closest(op, closest);
  for (size_t i = 0; i < result.closest_count; i++) {
    contacts[i] = closest[i]->contact;
  }
  result.closest = contacts;
  kad_lookup_add_counts(op->lookups, KAD_FAMILIES, &result);
  result.messages += kad_sybil_search_messages(op);
  result.dense_key = op->sybil_search != NULL;
  size_t steps = result.path_count;
  struct kad_step *path =
      kad_lookup_join_steps(node, op->lookups, KAD_FAMILIES, steps);
  result.path = path;
  result.path_count = path != NULL ? steps : 0;
  if (op->kind->report != NULL) {
    op->kind->report(node, op, &result);
  }
  op->done(op->data, &result);
  kad_release(&node->env.allocator, path, steps * sizeof *path);
}

static void finish_operation(struct kad_node *node, struct kad_operation *op) {
  unlink_operation(node, op);
  node->operations.running -= op->counted;
  if (op->status != 0 && op->counted) {
    node->stats.lookups_failed++;
  }
  kad_histograms_add_status(node, op->timed, op->status, op->started_at);
  if (op->done != NULL) {
    call_done(node, op);
  }
  free_operation(node, op);
}

static void fire_end(struct kad_node *node, struct kad_timer *timer) {
  finish_operation(node, kad_container_of(timer, struct kad_operation, timer));
  start_queued(node);
}

void kad_operation_end(struct kad_node *node, struct kad_operation *op,
                       int status) {
  if (op->state == KAD_OPERATION_ENDING) {
    return;
  }
  op->state = KAD_OPERATION_ENDING;
  op->status = status;
  kad_timer_set(node, &op->timer, kad_node_now(node), fire_end);
}

/* Replaces options that are 0 by the defaults. Returns 0 or KAD_EINVAL. */
static int fill_options(const struct kad_node *node,
                        const struct kad_lookup_options *given,
                        struct kad_lookup_options *options) {
  static const struct kad_lookup_options none = {0};
  const struct kad_config *config = &node->config;
  *options = *(given != NULL ? given : &none);
  if (options->alpha > KAD_ALPHA_MAX || options->beta > KAD_ALPHA_MAX ||
      options->k > KAD_K_MAX || options->paths > KAD_PATHS_MAX ||
      options->min_stored > KAD_K_MAX) {
    return KAD_EINVAL;
  }
  options->alpha = options->alpha > 0 ? options->alpha : config->alpha;
  options->k = options->k > 0 ? options->k : config->k;
  options->beta = options->beta > 0 ? options->beta : config->beta;
  options->paths = options->paths > 0 ? options->paths : config->paths;
  options->deadline_ms =
      options->deadline_ms > 0 ? options->deadline_ms : config->lookup_ms;
  return 0;
}

static void copy_request(struct kad_operation *op,
                         const struct kad_operation_request *request) {
  op->size = request->size;
  op->kind = request->kind;
  op->timed = request->kind->timed;
  op->done = request->done;
  op->data = request->data;
  op->internal = request->internal;
  if (request->target != NULL) {
    op->target = *request->target;
  }
  if (request->type.len > 0) {
    memcpy(op->type_name, request->type.data, request->type.len);
    op->type =
        (struct kad_slice){.data = op->type_name, .len = request->type.len};
  }
}

int kad_operation_new(struct kad_node *node,
                      const struct kad_operation_request *request,
                      struct kad_operation **op, kad_operation_id *id) {
  struct kad_lookup_options options;
  if (fill_options(node, request->options, &options) != 0 ||
      request->type.len > KAD_TYPE_NAME_MAX) {
    return KAD_EINVAL;
  }
  if (node->closing) {
    return KAD_ECLOSED;
  }
  if (node->operations.count >= KAD_OPERATIONS_MAX) {
    return KAD_EBUSY;
  }
  kad_clock_detect_suspend(node);
  struct kad_operation *made =
      kad_alloc_zero(&node->env.allocator, request->size);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  copy_request(made, request);
  made->options = options;
  made->queries.user = !request->internal;
  made->id = ++node->operations.last_id;
  made->started_at = kad_node_now(node);
  link_operation(node, made);
  if (!has_lookups(made)) {
    kad_timer_set(node, &made->timer, made->started_at, start_operation);
  } else {
    start_queued(node);
  }
  if (id != NULL) {
    *id = made->id;
  }
  if (op != NULL) {
    *op = made;
  }
  return 0;
}

/* Returns true if as many contacts have a value as the quorum, if any, asks. */
static bool has_quorum(const struct kad_operation *op) {
  return op->options.quorum > 0 && op->holders >= op->options.quorum;
}

void kad_operation_end_lookups(struct kad_node *node,
                               struct kad_operation *op) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (op->lookups[i] != NULL) {
      kad_lookup_finish(node, op->lookups[i]);
    }
  }
}

static bool on_reply(struct kad_node *node, struct kad_lookup *lookup,
                     const struct kad_contact *from,
                     const struct kad_message *reply) {
  struct kad_operation *op = lookup->config.owner;
  if (op->state != KAD_OPERATION_RUNNING) {
    return false; /* it is ending */
  }
  bool had_value = op->kind->replied(node, lookup, from, reply);
  op->holders += had_value;
  if (has_quorum(op)) {
    kad_operation_end_lookups(node, op);
  }
  return had_value;
}

/* Error 204 is not kept: a contact that does not support the query has not
 * rejected it. */
static void on_error(struct kad_node *node, struct kad_lookup *lookup,
                     const struct kad_message *error) {
  if (error->code != KAD_CODE_METHOD) {
    kad_operation_keep_error(node, lookup->config.owner, error);
  }
}

static void on_lookup_end(struct kad_node *node, struct kad_lookup *lookup) {
  struct kad_operation *op = lookup->config.owner;
  op->lookups_open--;
  if (op->lookups_open == 0 && op->state == KAD_OPERATION_RUNNING &&
      !kad_sybil_search_start(node, op)) {
    op->kind->looked_up(node, op);
  }
}

/* Starts the lookup of a family, with what is left of the deadline. */
static int start_lookup(struct kad_node *node, struct kad_operation *op,
                        unsigned family, const struct kad_contact *seed) {
  kad_time_ms spent = kad_time_since(op->started_at, kad_node_now(node));
  const struct kad_lookup_config config = {
      .family = family,
      .target = op->target,
      .method = op->kind->method,
      .name = op->query_name,
      .args = op->query_args,
      .type = op->type,
      .skip = op->skip,
      .has_seq = op->has_seq,
      .seq = op->seq,
      .noseed = op->options.noseed,
      .scrape = op->options.scrape,
      .alpha = op->options.alpha,
      .k = op->options.k,
      .beta = op->options.beta,
      .paths = op->options.paths,
      .deadline_ms = kad_time_since(spent, op->options.deadline_ms),
      .seed = seed,
      .replied = op->kind->replied != NULL ? on_reply : NULL,
      .refused = on_error,
      .done = on_lookup_end,
      .owner = op,
      .user = !op->internal,
      .hurried = op->hurried,
  };
  int error =
      kad_lookup_start(node, &config, &op->lookups[kad_family_index(family)]);
  op->lookups_open += error == 0;
  return error;
}

void kad_operation_look_up(struct kad_node *node, struct kad_operation *op) {
  int error4 = start_lookup(node, op, 4, NULL);
  int error6 = start_lookup(node, op, 6, NULL);
  if (op->lookups_open == 0) {
    bool no_memory = error4 == KAD_ENOMEM || error6 == KAD_ENOMEM;
    kad_operation_end(node, op, no_memory ? KAD_ENOMEM : KAD_ENOCONTACTS);
  }
}

void kad_operation_look_up_rest(struct kad_node *node,
                                struct kad_operation *op) {
  if (has_quorum(op)) {
    op->kind->looked_up(node, op);
  } else {
    kad_operation_look_up(node, op);
  }
}

void kad_operation_look_up_from(struct kad_node *node, struct kad_operation *op,
                                const struct kad_contact *seed) {
  unsigned family = seed->address.family;
  struct kad_lookup *lookup = op->lookups[kad_family_index(family)];
  if (lookup != NULL) {
    kad_lookup_add_contact(node, lookup, seed);
  } else if (start_lookup(node, op, family, seed) != 0) {
    node->stats.lookups_failed++;
  }
}

static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  struct kad_operation *op = self;
  op->kind->apply_result(node, op, result);
}

static void resume_operation(struct kad_node *node, void *self,
                             const struct kad_hook_result *result) {
  struct kad_operation *op = self;
  op->call_id = 0;
  if (op->state != KAD_OPERATION_RUNNING || node->closing) {
    return;
  }
  op->kind->apply_result(node, op, result);
  if (op->kind->resume != NULL) {
    op->kind->resume(node, op);
  }
}

bool kad_operation_call_hook(struct kad_node *node, struct kad_operation *op,
                             struct kad_ruleset *ruleset,
                             const struct kad_type *type, kad_hook_fn hook,
                             struct kad_hook_call *call) {
  static const struct kad_hook_handler handler = {
      .apply = apply_result,
      .resume = resume_operation,
  };
  const struct kad_hook_caller caller = {
      .handler = &handler,
      .self = op,
      .ruleset = ruleset,
      .hook = hook,
      .state = type->state,
  };
  if (kad_hook_call_start(node, &caller, call)) {
    return true;
  }
  op->call_id = call->call_id;
  return false;
}

bool kad_operation_timed_out(const struct kad_operation *op) {
  bool timed_out = false;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    timed_out =
        timed_out || (op->lookups[i] != NULL && op->lookups[i]->timed_out);
  }
  return timed_out;
}

/* Returns why queries of an operation could not be sent: the codec could not
 * write them, or too many wait. 0 if there is another reason. */
static int sending_error(const struct kad_operation *op) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    int error = op->lookups[i] != NULL ? op->lookups[i]->error : 0;
    if (error == KAD_ETOOBIG || error == KAD_EINVAL || error == KAD_ECODEC ||
        error == KAD_EBUSY) {
      return error;
    }
  }
  return 0;
}

/* Returns true if the operation has asked a contact, or could have: a table has
 * one, though it may be bad. */
static bool knows_contacts(const struct kad_node *node,
                           const struct kad_operation *op) {
  struct kad_contact_cursor cursor = {0};
  bool knows = kad_node_next_contact(node, &cursor) != NULL;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    knows = knows || (op->lookups[i] != NULL && op->lookups[i]->step_count > 0);
  }
  return knows;
}

int kad_operation_no_answer_error(const struct kad_node *node,
                                  const struct kad_operation *op) {
  int error = sending_error(op);
  if (error != 0) {
    return error;
  }
  return kad_operation_timed_out(op) || knows_contacts(node, op)
             ? KAD_ETIMEOUT
             : KAD_ENOCONTACTS;
}

void kad_operation_end_search(struct kad_node *node, struct kad_operation *op,
                              bool found) {
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  int status = 0;
  if (!found) {
    status = kad_operation_closest(op, closest) > 0
                 ? KAD_ENOTFOUND
                 : kad_operation_no_answer_error(node, op);
  }
  kad_operation_end(node, op, status);
}

void kad_operation_keep_text(struct kad_node *node, struct kad_operation *op,
                             struct kad_slice text) {
  if (op->text != NULL || text.len == 0) {
    return;
  }
  op->text = kad_alloc(&node->env.allocator, text.len);
  if (op->text != NULL) {
    memcpy(op->text, text.data, text.len);
    op->text_len = text.len;
  }
}

void kad_operation_keep_error(struct kad_node *node, struct kad_operation *op,
                              const struct kad_message *message) {
  if (op->code == 0) {
    op->code = message->code;
    kad_operation_keep_text(node, op, message->text);
  }
}

size_t kad_operation_closest(const struct kad_operation *op,
                             const struct kad_candidate **out) {
  size_t count = 0;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (op->lookups[i] != NULL) {
      count +=
          kad_paths_closest(&op->lookups[i]->paths, out + count, op->options.k);
    }
  }
  return count;
}

int kad_node_cancel(struct kad_node *node, kad_operation_id operation) {
  if (node == NULL) {
    return KAD_EINVAL;
  }
  struct kad_operation *op = node->operations.first;
  while (op != NULL && op->id != operation) {
    op = op->next;
  }
  if (op == NULL || op->state == KAD_OPERATION_ENDING) {
    return KAD_ENOTFOUND;
  }
  kad_rpc_disown(node, &op->queries);
  kad_operation_end(node, op, KAD_ECANCELED);
  return 0;
}

void kad_operations_close(struct kad_node *node) {
  while (node->operations.first != NULL) {
    struct kad_operation *op = node->operations.first;
    op->status = op->state == KAD_OPERATION_ENDING ? op->status : KAD_ECLOSED;
    op->state = KAD_OPERATION_ENDING;
    finish_operation(node, op);
  }
}

void kad_operations_forget(struct kad_node *node) {
  struct kad_operation *op = node->operations.first;
  for (; op != NULL; op = op->next) {
    op->done = op->internal ? op->done : NULL;
  }
}

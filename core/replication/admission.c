#include "replication/admission.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "records/record.h"
#include "replication/commit.h"
#include "replication/record_check.h"

#include <assert.h>
#include <string.h>

static const struct kad_record *current(const struct kad_admission *admission) {
  return &admission->request.records[admission->index];
}

struct kad_slice kad_admission_reason(const struct kad_admission *admission,
                                      size_t index) {
  const struct kad_outcome *outcome = &admission->outcomes[index];
  const char *reasons = admission->reasons + outcome->reason_at;
  return (struct kad_slice){.data = (const uint8_t *)reasons,
                            .len = outcome->reason_len};
}

/* Notes why the current record is not taken, and goes on to the next. A reason
 * that does not fit is left out. */
static void refuse(struct kad_admission *admission, int code,
                   struct kad_slice reason) {
  struct kad_outcome *outcome = &admission->outcomes[admission->index];
  outcome->code = code;
  outcome->reason_at = admission->reasons_len;
  if (reason.len <= sizeof admission->reasons - admission->reasons_len) {
    outcome->reason_len = (uint16_t)reason.len;
    if (reason.len > 0) {
      memcpy(admission->reasons + admission->reasons_len, reason.data,
             reason.len);
    }
    admission->reasons_len += outcome->reason_len;
  }
  admission->step = KAD_ADMIT_NEXT;
}

static bool check_step(struct kad_node *node, struct kad_admission *admission) {
  const struct kad_record *record = current(admission);
  const char *reason = NULL;
  admission->type = kad_ruleset_type(admission->ruleset, record->type);
  bool judged = admission->request.judged && admission->type != NULL;
  int code = judged ? 0
                    : kad_record_check_type(admission->type, record,
                                            node->config.id_bits, &reason);
  if (code != 0) {
    refuse(admission, code, kad_slice_of(reason));
    return true;
  }
  assert(admission->type != NULL);
  admission->life_s = admission->type->ttl;
  if (record->ttl > 0 && record->ttl < admission->life_s) {
    admission->life_s = record->ttl;
  }
  admission->step = judged ? KAD_ADMIT_MERGE : KAD_ADMIT_VALIDATE;
  return true;
}

/* Copies the records out of the datagram before the first wait. Returns the
 * admission, or NULL when out of memory. */
static void *keep_records(struct kad_node *node, void *self) {
  struct kad_admission *admission = self;
  struct kad_admission_request *request = &admission->request;
  if (admission->copies.count == 0 &&
      kad_bundle_copy(&admission->copies, &node->env.allocator,
                      request->records, request->count) != 0) {
    return NULL;
  }
  request->records = admission->copies.records;
  return admission;
}

/* Makes other admissions to the key of the current record wait for us. */
static void lock(struct kad_node *node, struct kad_admission *admission) {
  if (!admission->locked) {
    admission->locked = true;
    admission->next_merging = node->merging;
    node->merging = admission;
  }
}

static void take_validate(struct kad_admission *admission,
                          const struct kad_hook_result *answer) {
  if (answer->verdict == KAD_VERDICT_ACCEPT) {
    admission->step = KAD_ADMIT_MERGE;
    return;
  }
  struct kad_slice reason;
  int code = kad_hook_result_error(answer, &reason);
  refuse(admission, code, reason);
}

/* Returns false if a merge hook wants what may not be held. */
static bool may_be_held(const struct kad_admission *admission,
                        const struct kad_record *record) {
  struct kad_record named = *record;
  named.type = current(admission)->type;
  return record->value.len <= admission->type->max_size &&
         kad_record_check(&named) == 0;
}

/* Copies what a merge hook wants held: the first `max_values` of its list.
 * Returns false when one has no valid form, or when out of memory. */
static bool keep_merged(struct kad_node *node, struct kad_admission *admission,
                        const struct kad_hook_result *answer) {
  size_t most = admission->type->max_values;
  most = most < KAD_HELD_MAX ? most : KAD_HELD_MAX;
  size_t count = answer->record_count < most ? answer->record_count : most;
  node->stats.hook_failures += count < answer->record_count;
  for (size_t i = 0; i < count; i++) {
    if (!may_be_held(admission, &answer->records[i])) {
      node->stats.hook_failures++;
      return false;
    }
  }
  return count == 0 ||
         kad_bundle_copy_as(&admission->merged, &node->env.allocator,
                            current(admission), answer->records, count) == 0;
}

/* A merge that fails leaves what was held, and the record is not taken. */
static void take_merge(struct kad_node *node, struct kad_admission *admission,
                       const struct kad_hook_result *answer) {
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  if (answer->verdict == KAD_VERDICT_ACCEPT &&
      keep_merged(node, admission, answer)) {
    admission->step = KAD_ADMIT_EXPIRE;
    admission->has_merged = true;
    return;
  }
  take_validate(admission,
                answer->verdict == KAD_VERDICT_ACCEPT ? &failed : answer);
}

/* A cache lives no longer than its sender says, whatever the hook does. */
static void take_expire(struct kad_admission *admission,
                        const struct kad_hook_result *answer) {
  const bool is_cache = admission->request.reason == KAD_REASON_CACHE;
  const uint32_t most = is_cache ? admission->life_s : KAD_LIFE_MAX_S;
  if (answer->verdict == KAD_VERDICT_ACCEPT) {
    uint32_t life = answer->seconds > 0 ? answer->seconds : 1;
    admission->life_s = life < most ? life : most;
  }
  admission->step = KAD_ADMIT_HOLD;
}

/* Applies the result of the current step's hook. */
static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  struct kad_admission *admission = self;
  switch (admission->step) {
  case KAD_ADMIT_VALIDATE:
    take_validate(admission, result);
    return;
  case KAD_ADMIT_MERGE:
    take_merge(node, admission, result);
    return;
  case KAD_ADMIT_EXPIRE:
    take_expire(admission, result);
    return;
  case KAD_ADMIT_CHECK:
  case KAD_ADMIT_HOLD:
  case KAD_ADMIT_NEXT:
    return;
  }
}

static void run(struct kad_node *node, struct kad_admission *admission);

static void resume_admission(struct kad_node *node, void *self,
                             const struct kad_hook_result *result) {
  apply_result(node, self, result);
  run(node, self);
}

/* Calls `hook` for the current record. Returns false if the call is pending. */
static bool call_hook(struct kad_node *node, struct kad_admission *admission,
                      kad_hook_fn hook, enum kad_verdict default_verdict,
                      struct kad_hook_call *call) {
  static const struct kad_hook_handler handler = {
      .apply = apply_result, .keep = keep_records, .resume = resume_admission};
  const struct kad_hook_caller caller = {
      .handler = &handler,
      .self = admission,
      .ruleset = admission->ruleset,
      .hook = hook,
      .default_verdict = default_verdict,
      .state = admission->type->state,
  };
  call->reason = admission->request.reason;
  call->from = admission->request.from;
  call->proven = admission->request.proven;
  call->record = current(admission);
  return kad_hook_call_start(node, &caller, call);
}

/* Returns the admission that others to the key of `admission` wait for. */
static struct kad_admission *lock_holder(
    const struct kad_node *node, const struct kad_admission *admission) {
  const struct kad_record *record = current(admission);
  struct kad_admission *other = node->merging;
  while (other != NULL) {
    const struct kad_record *theirs = current(other);
    if (kad_id_equal(&theirs->key, &record->key) &&
        kad_slice_equal(theirs->type, record->type)) {
      return other;
    }
    other = other->next_merging;
  }
  return NULL;
}

/* Puts `added`, one or a list, at the end of `list`. */
static void append(struct kad_admission **list, struct kad_admission *added) {
  while (*list != NULL) {
    list = &(*list)->next;
  }
  *list = added;
}

/* Returns true if as many wait behind `holder` as may, or in all: each has a
 * copy of its records, and the last would be answered too late. */
static bool is_crowded(const struct kad_node *node,
                       const struct kad_admission *holder) {
  const struct kad_admission *waiter = holder->waiters;
  size_t length = 0;
  for (; waiter != NULL; waiter = waiter->next) {
    length++;
  }
  return length >= KAD_LINE_MAX || node->pending_hooks.count + node->in_line >=
                                       node->config.max_pending_hooks;
}

/* Has `admission` wait behind `holder`. Returns false if it cannot. */
static bool line_up(struct kad_node *node, struct kad_admission *holder,
                    struct kad_admission *admission) {
  if (is_crowded(node, holder) || keep_records(node, admission) == NULL) {
    return false;
  }
  append(&holder->waiters, admission);
  admission->in_line = true;
  node->in_line++;
  return true;
}

/* Copies what is held under the key of the current record: the hook may answer
 * other queries, and so change the store. Returns 0 or KAD_ENOMEM. */
static int copy_held(const struct kad_node *node,
                     const struct kad_admission *admission,
                     struct kad_bundle *copies) {
  struct kad_held_list held;
  *copies = (struct kad_bundle){0};
  int error = kad_held_read(node, current(admission), admission->type, &held);
  if (error == 0 && held.count > 0) {
    error =
        kad_bundle_copy(copies, &node->env.allocator, held.records, held.count);
  }
  kad_held_free(node, &held);
  return error;
}

/* Asks the merge hook, with the key locked. Returns false when the answer comes
 * later. */
static bool merge(struct kad_node *node, struct kad_admission *admission) {
  struct kad_bundle held;
  if (copy_held(node, admission, &held) != 0) {
    refuse(admission, KAD_CODE_FAILED, kad_slice_of("out of memory"));
    return true;
  }
  struct kad_hook_call call = {.held = held.records, .held_count = held.count};
  lock(node, admission);
  bool done = call_hook(node, admission, admission->type->merge,
                        KAD_VERDICT_FAILED, &call);
  kad_bundle_free(&held, &node->env.allocator);
  return done;
}

static bool merge_step(struct kad_node *node, struct kad_admission *admission) {
  if (admission->type->merge == NULL) {
    admission->step = KAD_ADMIT_EXPIRE;
    return true;
  }
  struct kad_admission *holder = lock_holder(node, admission);
  if (holder == NULL) {
    return merge(node, admission);
  }
  if (line_up(node, holder, admission)) {
    return false;
  }
  refuse(admission, KAD_CODE_FAILED, kad_slice_of("too many wait"));
  return true;
}

/* Tells the type's hook what is held now, for how long, and of whom. */
static void tell_stored(struct kad_node *node,
                        const struct kad_admission *admission) {
  struct kad_record record = *current(admission);
  struct kad_hook_call call = {
      .reason = admission->request.reason,
      .from = admission->request.from,
      .proven = admission->request.proven,
      .record = &record,
  };
  record.ttl = admission->life_s;
  kad_hook_call_notify(node, admission->ruleset, admission->type->stored,
                       admission->type->state, &call);
}

static bool hold_step(struct kad_node *node, struct kad_admission *admission) {
  const char *reason = NULL;
  int code = kad_commit(node, admission, &reason);
  kad_republish_plan(node);
  if (code != 0) {
    refuse(admission, code, kad_slice_of(reason));
    return true;
  }
  admission->stored++;
  admission->step = KAD_ADMIT_NEXT;
  if (admission->type->stored != NULL) {
    tell_stored(node, admission);
  }
  return true;
}

static void unlock(struct kad_node *node, struct kad_admission *admission) {
  struct kad_admission **link = &node->merging;
  while (*link != admission) {
    link = &(*link)->next_merging;
  }
  *link = admission->next_merging;
  admission->locked = false;
}

static bool next_step(struct kad_node *node, struct kad_admission *admission) {
  kad_bundle_free(&admission->merged, &node->env.allocator);
  admission->has_merged = false;
  if (admission->locked) {
    unlock(node, admission);
  }
  admission->index++;
  admission->step = KAD_ADMIT_CHECK;
  return true;
}

static bool step(struct kad_node *node, struct kad_admission *admission) {
  struct kad_hook_call call = {0};
  switch (admission->step) {
  case KAD_ADMIT_CHECK:
    return check_step(node, admission);
  case KAD_ADMIT_VALIDATE:
    return call_hook(node, admission, admission->type->validate,
                     KAD_VERDICT_ACCEPT, &call);
  case KAD_ADMIT_MERGE:
    return merge_step(node, admission);
  case KAD_ADMIT_EXPIRE:
    return call_hook(node, admission, admission->type->expire,
                     KAD_VERDICT_FAILED, &call);
  case KAD_ADMIT_HOLD:
    return hold_step(node, admission);
  case KAD_ADMIT_NEXT:
    return next_step(node, admission);
  }
  return false;
}

static void finish(struct kad_node *node, struct kad_admission *admission) {
  struct kad_ruleset *ruleset = admission->ruleset;
  admission->request.done(node, admission, admission->request.data);
  kad_bundle_free(&admission->copies, &node->env.allocator);
  kad_release(&node->env.allocator, admission, sizeof *admission);
  kad_ruleset_drop(ruleset, &node->env.allocator);
}

/* Goes on until the admission has to wait or has ended, or until its key is
 * free for those that waited: they are returned, and its next record has its
 * turn after them. */
static struct kad_admission *advance(struct kad_node *node,
                                     struct kad_admission *admission) {
  struct kad_admission *woken = NULL;
  bool goes_on = true;
  while (goes_on && woken == NULL &&
         admission->index < admission->request.count) {
    goes_on = step(node, admission);
    if (!admission->locked) {
      woken = admission->waiters;
      admission->waiters = NULL;
    }
  }
  if (goes_on && admission->index == admission->request.count) {
    finish(node, admission);
  } else if (goes_on) {
    append(&woken, admission);
  }
  return woken;
}

/* Lets an admission go on, and whoever it was that made others wait. */
static void run(struct kad_node *node, struct kad_admission *admission) {
  struct kad_admission *ready = admission;
  while (ready != NULL) {
    struct kad_admission *first = ready;
    ready = first->next;
    first->next = NULL;
    node->in_line -= first->in_line;
    first->in_line = false;
    struct kad_admission *woken = advance(node, first);
    append(&woken, ready);
    ready = woken;
  }
}

int kad_admit(struct kad_node *node,
              const struct kad_admission_request *request) {
  struct kad_admission *admission =
      kad_alloc(&node->env.allocator, sizeof *admission);
  if (admission == NULL) {
    return KAD_ENOMEM;
  }
  memset(admission, 0, offsetof(struct kad_admission, reasons));
  admission->request = *request;
  admission->ruleset = node->ruleset;
  kad_ruleset_retain(node->ruleset);
  run(node, admission);
  return 0;
}

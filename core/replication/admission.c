#include "replication/admission.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "records/item.h"
#include "records/record.h"
#include "replication/commit.h"
#include "replication/held.h"
#include "replication/record_check.h"
#include "rpc/limiter.h"
#include "rpc/record_size.h"
#include "rpc/turn.h"

#include <assert.h>
#include <string.h>

static const struct kad_record *current_record(
    const struct kad_admission *admission) {
  return &admission->request.records[admission->index];
}

struct kad_slice kad_admission_reason(const struct kad_admission *admission,
                                      size_t index) {
  const struct kad_outcome *outcome = &admission->outcomes[index];
  const char *reasons = admission->reasons + outcome->reason_at;
  return (struct kad_slice){.data = (const uint8_t *)reasons,
                            .len = outcome->reason_len};
}

/* Rejects the current record. A reason that does not fit is left out. */
static void reject(struct kad_admission *admission, int code,
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
  admission->step = KAD_ADMISSION_NEXT;
}

/* Rejects the current record and all after it. */
static void reject_rest(struct kad_admission *admission, int code,
                        const char *reason) {
  const size_t last = admission->request.count - 1;
  while (admission->index < last) {
    reject(admission, code, kad_slice_of(reason));
    admission->index++;
  }
  reject(admission, code, kad_slice_of(reason));
}

/* Ends a message with a bad signature. Only a sender that verifies nothing
 * sends one, and verifying the others costs us more than sending them costs it.
 */
static void end_unsigned(struct kad_node *node, struct kad_admission *admission,
                         int code, const char *reason) {
  const struct kad_address *from = &admission->request.from.address;
  reject_rest(admission, code, reason);
  if (from->family != 0) {
    node->stats.bad_signature++;
    if (node->limiter != NULL) {
      kad_limiter_punish(node->limiter, from, kad_node_now(node));
    }
  }
}

static void advance_all(struct kad_node *node, struct kad_admission *admission);

static void resume_turn(struct kad_node *node, struct kad_backlog_item *item) {
  advance_all(node, kad_container_of(item, struct kad_admission, turn));
}

static void refuse_turn(struct kad_node *node, struct kad_backlog_item *item) {
  struct kad_admission *admission =
      kad_container_of(item, struct kad_admission, turn);
  node->stats.busy++;
  reject_rest(admission, KAD_CODE_FAILED, "too busy");
  advance_all(node, admission);
}

static void *keep_records(struct kad_node *node, void *self);

/* Lets an admission of another node wait before a signature is verified, if the
 * turn has taken long. Returns false if it need not, or if there is no memory.
 */
static bool wait_for_turn(struct kad_node *node,
                          struct kad_admission *admission) {
  const struct kad_address *from = &admission->request.from.address;
  if (current_record(admission)->publisher == NULL || from->family == 0 ||
      !kad_turn_is_over(node) || keep_records(node, admission) == NULL) {
    return false;
  }
  admission->turn.resume = resume_turn;
  admission->turn.refuse = refuse_turn;
  const int error =
      kad_turn_wait(node, from, &admission->turn, KAD_BACKLOG_BEGUN);
  if (error == KAD_EFULL) {
    node->stats.busy++;
    reject_rest(admission, KAD_CODE_FAILED, "too busy");
  }
  return error == 0;
}

/* Returns false if the admission waits for its turn. */
static bool check_step(struct kad_node *node, struct kad_admission *admission) {
  if (wait_for_turn(node, admission)) {
    return false;
  }
  if (admission->step != KAD_ADMISSION_CHECK) {
    return true; /* there was no room to wait */
  }
  const struct kad_record *record = current_record(admission);
  const char *reason = NULL;
  int code = 0;
  admission->type = kad_ruleset_type(admission->ruleset, record->type);
  bool validated = admission->request.validated && admission->type != NULL;
  if (!validated) {
    code = kad_record_check_new(node, admission->type, record, &reason);
  }
  if (code == KAD_CODE_SIGNATURE && record->publisher != NULL) {
    end_unsigned(node, admission, code, reason);
    return true;
  }
  if (code != 0) {
    reject(admission, code, kad_slice_of(reason));
    return true;
  }
  assert(admission->type != NULL);
  admission->life_s = admission->type->ttl;
  if (record->ttl > 0 && record->ttl < admission->life_s) {
    admission->life_s = record->ttl;
  }
  admission->step = validated ? KAD_ADMISSION_MERGE : KAD_ADMISSION_VALIDATE;
  return true;
}

/* Copies the records out of the datagram before an admission waits for the
 * first time. Returns the admission, or NULL when out of memory. */
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

/* Locks the key of the current record. */
static void lock_key(struct kad_node *node, struct kad_admission *admission) {
  if (!admission->locks) {
    admission->locks = true;
    admission->next_lock_holder = node->admissions.first_lock_holder;
    node->admissions.first_lock_holder = admission;
  }
}

static void apply_validate(struct kad_admission *admission,
                           const struct kad_hook_result *result) {
  if (result->verdict == KAD_VERDICT_ACCEPT) {
    admission->step = KAD_ADMISSION_MERGE;
    return;
  }
  struct kad_slice reason;
  int code = kad_hook_result_error(result, &reason);
  reject(admission, code, reason);
}

/* Returns true if a record of a merge hook may be stored. */
static bool may_be_held(struct kad_node *node,
                        const struct kad_admission *admission,
                        const struct kad_record *record) {
  struct kad_record named = *record;
  named.key = current_record(admission)->key;
  named.type = current_record(admission)->type;
  if (kad_item_kind_of(named.type) != KAD_ITEM_NONE) {
    const char *reason;
    return kad_record_identical(&named, current_record(admission)) ||
           kad_record_check_new(node, admission->type, &named, &reason) == 0;
  }
  return record->value.len <= admission->type->max_size &&
         kad_record_check(&named) == 0 && kad_record_is_readable(node, &named);
}

/* Copies the list of a merge hook, cut to `max_values`. Returns false if one of
 * its records is invalid, or when out of memory. */
static bool keep_merged(struct kad_node *node, struct kad_admission *admission,
                        const struct kad_hook_result *result) {
  size_t most = admission->type->max_values;
  most = most < KAD_HELD_MAX ? most : KAD_HELD_MAX;
  size_t count = result->record_count < most ? result->record_count : most;
  node->stats.hook_failures += count < result->record_count;
  for (size_t i = 0; i < count; i++) {
    if (!may_be_held(node, admission, &result->records[i])) {
      node->stats.hook_failures++;
      return false;
    }
  }
  return count == 0 ||
         kad_bundle_copy_as(&admission->merged, &node->env.allocator,
                            current_record(admission), result->records,
                            count) == 0;
}

/* If a merge fails, the record is rejected, and what is held stays. */
static void apply_merge(struct kad_node *node, struct kad_admission *admission,
                        const struct kad_hook_result *result) {
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  if (result->verdict == KAD_VERDICT_ACCEPT &&
      keep_merged(node, admission, result)) {
    admission->step = KAD_ADMISSION_EXPIRE;
    admission->has_merged = true;
    return;
  }
  apply_validate(admission,
                 result->verdict == KAD_VERDICT_ACCEPT ? &failed : result);
}

/* A cached copy lives no longer than its sender says. */
static void apply_expire(struct kad_admission *admission,
                         const struct kad_hook_result *result) {
  const bool is_cached_copy = admission->request.reason == KAD_REASON_CACHE;
  const uint32_t most =
      is_cached_copy ? admission->life_s : KAD_RECORD_TTL_MAX_S;
  if (result->verdict == KAD_VERDICT_ACCEPT) {
    uint32_t life = result->seconds > 0 ? result->seconds : 1;
    admission->life_s = life < most ? life : most;
  }
  admission->step = KAD_ADMISSION_COMMIT;
}

/* Applies the result of the current step's hook. */
static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  struct kad_admission *admission = self;
  switch (admission->step) {
  case KAD_ADMISSION_VALIDATE:
    apply_validate(admission, result);
    return;
  case KAD_ADMISSION_MERGE:
    apply_merge(node, admission, result);
    return;
  case KAD_ADMISSION_EXPIRE:
    apply_expire(admission, result);
    return;
  case KAD_ADMISSION_CHECK:
  case KAD_ADMISSION_COMMIT:
  case KAD_ADMISSION_NEXT:
    return;
  }
}

static void resume_admission(struct kad_node *node, void *self,
                             const struct kad_hook_result *result) {
  apply_result(node, self, result);
  advance_all(node, self);
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
  call->record = current_record(admission);
  return kad_hook_call_start(node, &caller, call);
}

/* Returns the admission that has locked the key of the current record, or NULL.
 */
static struct kad_admission *find_lock_holder(
    const struct kad_node *node, const struct kad_admission *admission) {
  const struct kad_record *record = current_record(admission);
  struct kad_admission *lock_holder = node->admissions.first_lock_holder;
  while (lock_holder != NULL) {
    const struct kad_record *locked = current_record(lock_holder);
    if (kad_id_equal(&locked->key, &record->key) &&
        kad_slice_equal(locked->type, record->type)) {
      return lock_holder;
    }
    lock_holder = lock_holder->next_lock_holder;
  }
  return NULL;
}

/* Appends `added`, which may be a list, to `list`. */
static void append(struct kad_admission **list, struct kad_admission *added) {
  while (*list != NULL) {
    list = &(*list)->next;
  }
  *list = added;
}

/* Returns true if no more admissions may wait for the key of `lock_holder`, or
 * in all: each holds a copy of its records, and the last would be answered too
 * late. */
static bool is_full(const struct kad_node *node,
                    const struct kad_admission *lock_holder) {
  const struct kad_admission *waiter = lock_holder->waiters;
  size_t length = 0;
  for (; waiter != NULL; waiter = waiter->next) {
    length++;
  }
  return length >= KAD_ADMISSION_WAITERS_MAX ||
         node->pending_hooks.count + node->admissions.waiting >=
             node->config.max_pending_hooks;
}

/* Has `admission` wait for the key of `lock_holder`. Returns false if it
 * cannot. */
static bool wait_for_key(struct kad_node *node,
                         struct kad_admission *lock_holder,
                         struct kad_admission *admission) {
  if (is_full(node, lock_holder) || keep_records(node, admission) == NULL) {
    return false;
  }
  append(&lock_holder->waiters, admission);
  admission->waits = true;
  node->admissions.waiting++;
  return true;
}

/* Copies what is held under the key of the current record: the merge hook may
 * change the store. Returns 0 or KAD_ENOMEM. */
static int copy_held(const struct kad_node *node,
                     const struct kad_admission *admission,
                     struct kad_bundle *copies) {
  struct kad_held_list held;
  *copies = (struct kad_bundle){0};
  int error = kad_held_list_read(node, current_record(admission),
                                 admission->type, &held);
  if (error == 0 && held.count > 0) {
    error =
        kad_bundle_copy(copies, &node->env.allocator, held.records, held.count);
  }
  kad_held_list_free(node, &held);
  return error;
}

/* Locks the key and calls the merge hook. Returns false if the call is pending.
 */
static bool call_merge(struct kad_node *node, struct kad_admission *admission) {
  struct kad_bundle held;
  if (copy_held(node, admission, &held) != 0) {
    reject(admission, KAD_CODE_FAILED, kad_slice_of("out of memory"));
    return true;
  }
  const char *reason = NULL;
  const int code =
      kad_commit_check(admission, held.records, held.count, &reason);
  if (code != 0) {
    kad_bundle_free(&held, &node->env.allocator);
    reject(admission, code, kad_slice_of(reason));
    return true;
  }
  struct kad_hook_call call = {.held = held.records, .held_count = held.count};
  lock_key(node, admission);
  bool done = call_hook(node, admission, admission->type->merge,
                        KAD_VERDICT_FAILED, &call);
  kad_bundle_free(&held, &node->env.allocator);
  return done;
}

static bool merge_step(struct kad_node *node, struct kad_admission *admission) {
  if (admission->type->merge == NULL) {
    admission->step = KAD_ADMISSION_EXPIRE;
    return true;
  }
  struct kad_admission *lock_holder = find_lock_holder(node, admission);
  if (lock_holder == NULL) {
    return call_merge(node, admission);
  }
  if (wait_for_key(node, lock_holder, admission)) {
    return false;
  }
  reject(admission, KAD_CODE_FAILED, kad_slice_of("too many wait"));
  return true;
}

/* Calls the hook `stored` with the record that is stored now, and its life. */
static void notify_stored(struct kad_node *node,
                          const struct kad_admission *admission) {
  struct kad_record record = *current_record(admission);
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

static bool commit_step(struct kad_node *node,
                        struct kad_admission *admission) {
  const char *reason = NULL;
  int code = kad_commit(node, admission, &reason);
  kad_republish_plan(node);
  if (code != 0) {
    reject(admission, code, kad_slice_of(reason));
    return true;
  }
  admission->stored++;
  admission->step = KAD_ADMISSION_NEXT;
  if (admission->type->stored != NULL) {
    notify_stored(node, admission);
  }
  return true;
}

static void unlock_key(struct kad_node *node, struct kad_admission *admission) {
  struct kad_admission **link = &node->admissions.first_lock_holder;
  while (*link != admission) {
    link = &(*link)->next_lock_holder;
  }
  *link = admission->next_lock_holder;
  admission->locks = false;
}

static bool next_step(struct kad_node *node, struct kad_admission *admission) {
  kad_bundle_free(&admission->merged, &node->env.allocator);
  admission->has_merged = false;
  if (admission->locks) {
    unlock_key(node, admission);
  }
  admission->index++;
  admission->step = KAD_ADMISSION_CHECK;
  return true;
}

/* Takes one step. Returns false if the admission waits. */
static bool take_step(struct kad_node *node, struct kad_admission *admission) {
  struct kad_hook_call call = {0};
  switch (admission->step) {
  case KAD_ADMISSION_CHECK:
    return check_step(node, admission);
  case KAD_ADMISSION_VALIDATE:
    return call_hook(node, admission, admission->type->validate,
                     KAD_VERDICT_ACCEPT, &call);
  case KAD_ADMISSION_MERGE:
    return merge_step(node, admission);
  case KAD_ADMISSION_EXPIRE:
    return call_hook(node, admission, admission->type->expire,
                     KAD_VERDICT_FAILED, &call);
  case KAD_ADMISSION_COMMIT:
    return commit_step(node, admission);
  case KAD_ADMISSION_NEXT:
    return next_step(node, admission);
  }
  return false;
}

static void finish_admission(struct kad_node *node,
                             struct kad_admission *admission) {
  struct kad_ruleset *ruleset = admission->ruleset;
  admission->request.done(node, admission, admission->request.data);
  kad_bundle_free(&admission->copies, &node->env.allocator);
  kad_release(&node->env.allocator, admission, sizeof *admission);
  kad_ruleset_drop(ruleset, &node->env.allocator);
}

/* Ends an admission whose records are in the store, and durable if `status` is
 * 0. Else they may be gone after a restart: the sender stores them again. */
static void on_committed(struct kad_node *node,
                         struct kad_durability_waiter *waiter, int status) {
  struct kad_admission *admission =
      kad_container_of(waiter, struct kad_admission, durability);
  if (status != 0) {
    admission->stored = 0;
    admission->index = 0;
    admission->reasons_len = 0;
    reject_rest(admission, KAD_CODE_FAILED, "the disk refuses to write");
    node->stats.unstored++;
  }
  finish_admission(node, admission);
}

/* Ends an admission: one that has changed the store once that is durable. */
static void end_admission(struct kad_node *node,
                          struct kad_admission *admission) {
  if (admission->stored == 0 || !kad_durability_is_needed(node)) {
    finish_admission(node, admission);
    return;
  }
  admission->durability.committed = on_committed;
  kad_durability_wait(node, &admission->durability);
}

/* Advances an admission until it waits or ends, or until its key is free for
 * the admissions that wait for it. Returns those, followed by the admission
 * itself if it has not ended. */
static struct kad_admission *advance(struct kad_node *node,
                                     struct kad_admission *admission) {
  struct kad_admission *ready = NULL;
  bool runs = true;
  while (runs && ready == NULL && admission->index < admission->request.count) {
    runs = take_step(node, admission);
    if (!admission->locks) {
      ready = admission->waiters;
      admission->waiters = NULL;
    }
  }
  if (runs && admission->index == admission->request.count) {
    end_admission(node, admission);
  } else if (runs) {
    append(&ready, admission);
  }
  return ready;
}

/* Advances an admission, and those that waited for its keys. */
static void advance_all(struct kad_node *node,
                        struct kad_admission *admission) {
  struct kad_admission *ready = admission;
  while (ready != NULL) {
    struct kad_admission *first = ready;
    ready = first->next;
    first->next = NULL;
    node->admissions.waiting -= first->waits;
    first->waits = false;
    struct kad_admission *woken = advance(node, first);
    append(&woken, ready);
    ready = woken;
  }
}

int kad_admission_start(struct kad_node *node,
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
  advance_all(node, admission);
  return 0;
}

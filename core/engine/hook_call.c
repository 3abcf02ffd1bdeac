#include "engine/hook_call.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

/* A call whose result comes later. */
struct pending_call {
  struct kad_map_entry entry;
  struct kad_timer timer;
  uint64_t call_id;
  void *self;
  kad_hook_result_fn resume;
  struct kad_ruleset *ruleset;
};

/* The call id is its own hash: it is our own sequence. */
static struct pending_call *find_pending(const struct kad_node *node,
                                         uint64_t call_id) {
  struct kad_map_entry *entry =
      kad_map_first(&node->pending_hooks.open, call_id);
  return entry != NULL ? kad_container_of(entry, struct pending_call, entry)
                       : NULL;
}

/* Frees `pending`, but not its ruleset. The caller drops that last, because it
 * may run the policy's release. */
static void free_pending(struct kad_node *node, struct pending_call *pending) {
  kad_timer_cancel(node, &pending->timer);
  kad_map_remove(&node->pending_hooks.open, &pending->entry);
  kad_release(&node->env.allocator, pending, sizeof *pending);
  node->pending_hooks.count--;
}

static void abandon_call(const struct kad_ruleset *ruleset, uint64_t call_id) {
  if (ruleset->policy.abandon != NULL) {
    ruleset->policy.abandon(ruleset->policy.state, call_id);
  }
}

/* Ends a pending call with `result`. If it is given up, tells the policy. */
static void end_pending(struct kad_node *node, struct pending_call *pending,
                        const struct kad_hook_result *result, bool given_up) {
  const struct pending_call ended = *pending;
  free_pending(node, pending);
  if (given_up) {
    abandon_call(ended.ruleset, ended.call_id);
  }
  ended.resume(node, ended.self, result);
  kad_ruleset_drop(ended.ruleset, &node->env.allocator);
}

static void fail_pending(struct kad_node *node, struct pending_call *pending) {
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  end_pending(node, pending, &failed, true);
}

static void expire_pending(struct kad_node *node, struct kad_timer *timer) {
  node->stats.hook_deadlines++;
  fail_pending(node, kad_container_of(timer, struct pending_call, timer));
}

/* Makes a pending call. `deadline_ms` 0 is the policy's. Returns NULL when
 * there are too many, or when out of memory. */
static struct pending_call *add_pending(struct kad_node *node,
                                        const struct kad_hook_caller *caller,
                                        uint64_t call_id,
                                        kad_time_ms deadline_ms) {
  if (node->pending_hooks.count >= node->config.max_pending_hooks) {
    return NULL;
  }
  struct pending_call *pending =
      kad_alloc_zero(&node->env.allocator, sizeof *pending);
  if (pending == NULL) {
    return NULL;
  }
  pending->call_id = call_id;
  pending->self = caller->self;
  pending->resume = caller->handler->resume;
  pending->ruleset = caller->ruleset;
  if (kad_map_add(&node->pending_hooks.open, &pending->entry, call_id) != 0) {
    kad_release(&node->env.allocator, pending, sizeof *pending);
    return NULL;
  }
  kad_ruleset_retain(caller->ruleset);
  node->pending_hooks.count++;
  if (deadline_ms == 0) {
    deadline_ms = caller->ruleset->deadline_ms;
  }
  kad_timer_set(node, &pending->timer,
                kad_time_add(kad_node_now(node), deadline_ms), expire_pending);
  return pending;
}

void kad_pending_hooks_init(struct kad_node *node) {
  kad_map_init(&node->pending_hooks.open, &node->env.allocator,
               node->map_secret);
}

void kad_pending_hooks_deinit(struct kad_node *node) {
  struct kad_map_entry *entry;
  size_t from = 0;
  while ((entry = kad_map_any(&node->pending_hooks.open, &from)) != NULL) {
    fail_pending(node, kad_container_of(entry, struct pending_call, entry));
  }
  kad_map_deinit(&node->pending_hooks.open);
}

/* Makes the call wait. Returns false, and tells the policy, if there are too
 * many calls that wait or when out of memory. */
static bool wait_for_result(struct kad_node *node,
                            const struct kad_hook_caller *caller,
                            uint64_t call_id, kad_time_ms deadline_ms) {
  const struct kad_hook_handler *handler = caller->handler;
  struct pending_call *pending =
      add_pending(node, caller, call_id, deadline_ms);
  if (pending == NULL) {
    abandon_call(caller->ruleset, call_id);
    return false;
  }
  if (handler->keep != NULL) {
    pending->self = handler->keep(node, caller->self);
    if (pending->self == NULL) {
      kad_hook_call_cancel(node, call_id);
      return false;
    }
  }
  return true;
}

/* Returns false for a verdict that is none, and for records that are missing.
 */
static bool is_result(const struct kad_hook_result *result) {
  return (unsigned)result->verdict <= KAD_VERDICT_PENDING &&
         (result->records != NULL || result->record_count == 0);
}

bool kad_hook_call_start(struct kad_node *node,
                         const struct kad_hook_caller *caller,
                         struct kad_hook_call *call) {
  const struct kad_hook_handler *handler = caller->handler;
  struct kad_hook_result result = {.verdict = caller->default_verdict};
  bool is_pending = false;
  /* The hook may replace the policy, and must not free it under itself. */
  kad_ruleset_retain(caller->ruleset);
  if (caller->hook != NULL && node->closing) {
    result.verdict = KAD_VERDICT_FAILED;
  } else if (caller->hook != NULL) {
    result.verdict = KAD_VERDICT_ACCEPT;
    call->node = node;
    call->call_id = ++node->pending_hooks.last_id;
    call->now = kad_node_env_time(node, kad_node_now(node));
    caller->hook(caller->state, call, &result);
    if (!is_result(&result)) {
      result = (struct kad_hook_result){.verdict = KAD_VERDICT_FAILED};
    }
    node->stats.hook_failures += result.verdict == KAD_VERDICT_FAILED;
  }
  if (result.verdict == KAD_VERDICT_PENDING) {
    is_pending =
        wait_for_result(node, caller, call->call_id, result.deadline_ms);
    node->stats.hook_failures += !is_pending;
    result = (struct kad_hook_result){.verdict = KAD_VERDICT_FAILED};
  }
  if (!is_pending) {
    handler->apply(node, caller->self, &result);
  }
  kad_ruleset_drop(caller->ruleset, &node->env.allocator);
  return !is_pending;
}

static void ignore_result(struct kad_node *node, void *self,
                          const struct kad_hook_result *result) {
  (void)node;
  (void)self;
  (void)result;
}

void kad_hook_call_notify(struct kad_node *node, struct kad_ruleset *ruleset,
                          kad_hook_fn hook, void *state,
                          struct kad_hook_call *call) {
  static const struct kad_hook_handler handler = {.apply = ignore_result,
                                                  .resume = ignore_result};
  const struct kad_hook_caller caller = {
      .handler = &handler, .ruleset = ruleset, .hook = hook, .state = state};
  (void)kad_hook_call_start(node, &caller, call);
}

void kad_hook_call_cancel(struct kad_node *node, uint64_t call_id) {
  struct pending_call *pending = find_pending(node, call_id);
  if (pending == NULL) {
    return;
  }
  struct kad_ruleset *ruleset = pending->ruleset;
  free_pending(node, pending);
  abandon_call(ruleset, call_id);
  kad_ruleset_drop(ruleset, &node->env.allocator);
}

int kad_hook_result_error(const struct kad_hook_result *result,
                          struct kad_slice *reason) {
  if (result->verdict != KAD_VERDICT_REJECT) {
    *reason = kad_slice_of("the policy failed");
    return KAD_CODE_FAILED;
  }
  *reason = result->reason;
  return result->code != 0 ? result->code : KAD_CODE_REFUSED;
}

int kad_node_complete_hook(struct kad_node *node, uint64_t call_id,
                           const struct kad_hook_result *result) {
  if (node == NULL || result == NULL ||
      result->verdict == KAD_VERDICT_PENDING || !is_result(result)) {
    return KAD_EINVAL;
  }
  struct pending_call *pending = find_pending(node, call_id);
  if (pending == NULL) {
    return KAD_ENOTFOUND;
  }
  kad_clock_detect_suspend(node);
  node->stats.hook_failures += result->verdict == KAD_VERDICT_FAILED;
  end_pending(node, pending, result, false);
  return 0;
}

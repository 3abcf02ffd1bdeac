#include "engine/hook_call.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

#include <assert.h>

/* A call whose answer comes later. */
struct open_question {
  struct kad_map_entry entry;
  struct kad_timer timer;
  uint64_t call_id;
  struct kad_hook_caller asker;
};

static uint64_t ticket_hash(const struct kad_node *node, uint64_t call_id) {
  return kad_map_hash(&node->pending_hooks.open, &call_id, sizeof call_id);
}

static struct open_question *find(const struct kad_node *node,
                                  uint64_t call_id) {
  struct kad_map_entry *entry =
      kad_map_first(&node->pending_hooks.open, ticket_hash(node, call_id));
  while (entry != NULL) {
    struct open_question *open =
        kad_container_of(entry, struct open_question, entry);
    if (open->call_id == call_id) {
      return open;
    }
    entry = kad_map_after(entry);
  }
  return NULL;
}

/* Frees `open`, but not its ruleset, which the caller drops last: that may run
 * the policy's release. */
static void close_question(struct kad_node *node, struct open_question *open) {
  kad_timer_cancel(node, &open->timer);
  kad_map_remove(&node->pending_hooks.open, &open->entry);
  kad_release(&node->env.allocator, open, sizeof *open);
  node->pending_hooks.count--;
}

static void abandon(const struct kad_ruleset *ruleset, uint64_t call_id) {
  if (ruleset->policy.abandon != NULL) {
    ruleset->policy.abandon(ruleset->policy.state, call_id);
  }
}

/* Tells the policy and the asker that no answer is waited for any more. */
static void fail(struct kad_node *node, struct open_question *open) {
  struct kad_hook_caller asker = open->asker;
  uint64_t call_id = open->call_id;
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  close_question(node, open);
  abandon(asker.ruleset, call_id);
  asker.resume(node, asker.self, &failed);
  kad_ruleset_drop(asker.ruleset, &node->env.allocator);
}

static void expire(struct kad_node *node, struct kad_timer *timer) {
  node->stats.hook_deadlines++;
  fail(node, kad_container_of(timer, struct open_question, timer));
}

static int open_question(struct kad_node *node, uint64_t call_id,
                         const struct kad_hook_caller *asker,
                         kad_time_ms deadline_ms) {
  if (node->pending_hooks.count >= node->config.max_waiting) {
    return KAD_EBUSY;
  }
  struct open_question *open =
      kad_alloc_zero(&node->env.allocator, sizeof *open);
  if (open == NULL) {
    return KAD_ENOMEM;
  }
  open->call_id = call_id;
  open->asker = *asker;
  int error = kad_map_add(&node->pending_hooks.open, &open->entry,
                          ticket_hash(node, call_id));
  if (error != 0) {
    kad_release(&node->env.allocator, open, sizeof *open);
    return error;
  }
  kad_ruleset_retain(asker->ruleset);
  node->pending_hooks.count++;
  if (deadline_ms == 0) {
    deadline_ms = asker->ruleset->deadline_ms;
  }
  kad_timer_set(node, &open->timer,
                kad_time_add(kad_node_now(node), deadline_ms), expire);
  return 0;
}

void kad_pending_hooks_init(struct kad_node *node) {
  kad_map_init(&node->pending_hooks.open, &node->env.allocator,
               node->map_secret);
}

void kad_pending_hooks_deinit(struct kad_node *node) {
  struct kad_map *map = &node->pending_hooks.open;
  for (size_t i = 0; i < map->bucket_count; i++) {
    while (map->buckets[i] != NULL) {
      fail(node,
           kad_container_of(map->buckets[i], struct open_question, entry));
    }
  }
  kad_map_deinit(map);
}

enum kad_verdict kad_hook_call_begin(struct kad_node *node, kad_hook_fn hook,
                                     void *state,
                                     const struct kad_hook_caller *asker,
                                     struct kad_hook_call *call,
                                     struct kad_hook_result *answer) {
  *answer = (struct kad_hook_result){0};
  if (node->closing) {
    answer->verdict = KAD_VERDICT_FAILED;
    return KAD_VERDICT_FAILED;
  }
  call->node = node;
  call->call_id = ++node->pending_hooks.last_id;
  call->now = kad_node_tell(node, kad_node_now(node));
  /* The hook may replace the policy, and must not free it under itself. */
  kad_ruleset_retain(asker->ruleset);
  hook(state, call, answer);
  if (answer->verdict == KAD_VERDICT_FAILED) {
    node->stats.hook_failures++;
  }
  if (answer->verdict == KAD_VERDICT_PENDING &&
      open_question(node, call->call_id, asker, answer->deadline_ms) != 0) {
    node->stats.hook_failures++;
    abandon(asker->ruleset, call->call_id);
    answer->verdict = KAD_VERDICT_FAILED;
  }
  kad_ruleset_drop(asker->ruleset, &node->env.allocator);
  return answer->verdict;
}

void kad_hook_call_set_context(struct kad_node *node, uint64_t call_id,
                               void *self) {
  struct open_question *open = find(node, call_id);
  assert(open != NULL);
  open->asker.self = self;
}

void kad_hook_call_cancel(struct kad_node *node, uint64_t call_id) {
  struct open_question *open = find(node, call_id);
  if (open == NULL) {
    return;
  }
  struct kad_ruleset *ruleset = open->asker.ruleset;
  close_question(node, open);
  abandon(ruleset, call_id);
  kad_ruleset_drop(ruleset, &node->env.allocator);
}

int kad_node_complete_hook(struct kad_node *node, uint64_t call_id,
                           const struct kad_hook_result *answer) {
  if (node == NULL || answer == NULL ||
      answer->verdict == KAD_VERDICT_PENDING) {
    return KAD_EINVAL;
  }
  struct open_question *open = find(node, call_id);
  if (open == NULL) {
    return KAD_ENOTFOUND;
  }
  kad_suspend_detect(node);
  struct kad_hook_caller asker = open->asker;
  close_question(node, open);
  if (answer->verdict == KAD_VERDICT_FAILED) {
    node->stats.hook_failures++;
  }
  asker.resume(node, asker.self, answer);
  kad_ruleset_drop(asker.ruleset, &node->env.allocator);
  return 0;
}

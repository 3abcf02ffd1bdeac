#include "engine/hook_call.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

#include <assert.h>

/* A question whose answer comes later. */
struct open_question {
  struct kad_map_entry entry;
  struct kad_timer timer;
  uint64_t ticket;
  struct kad_asker asker;
};

static uint64_t ticket_hash(const struct kad_node *node, uint64_t ticket) {
  return kad_map_hash(&node->questions.open, &ticket, sizeof ticket);
}

static struct open_question *find(const struct kad_node *node,
                                  uint64_t ticket) {
  struct kad_map_entry *entry =
      kad_map_first(&node->questions.open, ticket_hash(node, ticket));
  while (entry != NULL) {
    struct open_question *open =
        kad_container_of(entry, struct open_question, entry);
    if (open->ticket == ticket) {
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
  kad_map_remove(&node->questions.open, &open->entry);
  kad_release(&node->env.allocator, open, sizeof *open);
  node->questions.count--;
}

static void abandon(const struct kad_ruleset *ruleset, uint64_t ticket) {
  if (ruleset->policy.abandon != NULL) {
    ruleset->policy.abandon(ruleset->policy.state, ticket);
  }
}

/* Tells the policy and the asker that no answer is waited for any more. */
static void fail(struct kad_node *node, struct open_question *open) {
  struct kad_asker asker = open->asker;
  uint64_t ticket = open->ticket;
  const struct kad_answer failed = {.verdict = KAD_FAILED};
  close_question(node, open);
  abandon(asker.ruleset, ticket);
  asker.resume(node, asker.self, &failed);
  kad_ruleset_drop(asker.ruleset, &node->env.allocator);
}

static void expire(struct kad_node *node, struct kad_timer *timer) {
  node->stats.hook_deadlines++;
  fail(node, kad_container_of(timer, struct open_question, timer));
}

static int open_question(struct kad_node *node, uint64_t ticket,
                         const struct kad_asker *asker,
                         kad_time_ms deadline_ms) {
  if (node->questions.count >= node->config.max_waiting) {
    return KAD_EBUSY;
  }
  struct open_question *open =
      kad_alloc_zero(&node->env.allocator, sizeof *open);
  if (open == NULL) {
    return KAD_ENOMEM;
  }
  open->ticket = ticket;
  open->asker = *asker;
  int error = kad_map_add(&node->questions.open, &open->entry,
                          ticket_hash(node, ticket));
  if (error != 0) {
    kad_release(&node->env.allocator, open, sizeof *open);
    return error;
  }
  kad_ruleset_retain(asker->ruleset);
  node->questions.count++;
  if (deadline_ms == 0) {
    deadline_ms = asker->ruleset->deadline_ms;
  }
  kad_timer_set(node, &open->timer,
                kad_time_add(kad_node_now(node), deadline_ms), expire);
  return 0;
}

void kad_questions_init(struct kad_node *node) {
  kad_map_init(&node->questions.open, &node->env.allocator, node->map_secret);
}

void kad_questions_deinit(struct kad_node *node) {
  struct kad_map *map = &node->questions.open;
  for (size_t i = 0; i < map->bucket_count; i++) {
    while (map->buckets[i] != NULL) {
      fail(node,
           kad_container_of(map->buckets[i], struct open_question, entry));
    }
  }
  kad_map_deinit(map);
}

enum kad_verdict kad_ask(struct kad_node *node, kad_hook hook, void *state,
                         const struct kad_asker *asker,
                         struct kad_question *question,
                         struct kad_answer *answer) {
  *answer = (struct kad_answer){0};
  if (node->closing) {
    answer->verdict = KAD_FAILED;
    return KAD_FAILED;
  }
  question->node = node;
  question->ticket = ++node->questions.last_ticket;
  question->now = kad_node_tell(node, kad_node_now(node));
  /* The hook may replace the policy, and must not free it under itself. */
  kad_ruleset_retain(asker->ruleset);
  hook(state, question, answer);
  if (answer->verdict == KAD_FAILED) {
    node->stats.hook_failures++;
  }
  if (answer->verdict == KAD_LATER &&
      open_question(node, question->ticket, asker, answer->deadline_ms) != 0) {
    node->stats.hook_failures++;
    abandon(asker->ruleset, question->ticket);
    answer->verdict = KAD_FAILED;
  }
  kad_ruleset_drop(asker->ruleset, &node->env.allocator);
  return answer->verdict;
}

void kad_question_attach(struct kad_node *node, uint64_t ticket, void *self) {
  struct open_question *open = find(node, ticket);
  assert(open != NULL);
  open->asker.self = self;
}

void kad_question_withdraw(struct kad_node *node, uint64_t ticket) {
  struct open_question *open = find(node, ticket);
  if (open == NULL) {
    return;
  }
  struct kad_ruleset *ruleset = open->asker.ruleset;
  close_question(node, open);
  abandon(ruleset, ticket);
  kad_ruleset_drop(ruleset, &node->env.allocator);
}

int kad_node_answer(struct kad_node *node, uint64_t ticket,
                    const struct kad_answer *answer) {
  if (node == NULL || answer == NULL || answer->verdict == KAD_LATER) {
    return KAD_EINVAL;
  }
  struct open_question *open = find(node, ticket);
  if (open == NULL) {
    return KAD_ENOTFOUND;
  }
  kad_wake_notice(node);
  struct kad_asker asker = open->asker;
  close_question(node, open);
  if (answer->verdict == KAD_FAILED) {
    node->stats.hook_failures++;
  }
  asker.resume(node, asker.self, answer);
  kad_ruleset_drop(asker.ruleset, &node->env.allocator);
  return 0;
}

#include "engine/durability.h"

#include "engine/node.h"

static void commit_waiting(struct kad_node *node, struct kad_timer *timer);

/* Begins a commit in the next turn, if one is needed and none is under way. */
static void plan(struct kad_node *node) {
  struct kad_durability *durability = &node->durability;
  if (durability->waiting != NULL && durability->committing == NULL &&
      !durability->timer.deadline.queued && !node->closing) {
    kad_timer_set(node, &durability->timer, kad_node_now(node), commit_waiting);
  }
}

/* Calls all of a list. */
static void end_all(struct kad_node *node, struct kad_durability_waiter *first,
                    int status) {
  while (first != NULL) {
    struct kad_durability_waiter *waiter = first;
    first = waiter->next;
    waiter->committed(node, waiter, status);
  }
}

static void on_committed(void *data, int status) {
  struct kad_node *node = data;
  struct kad_durability_waiter *committed = node->durability.committing;
  node->durability.committing = NULL;
  end_all(node, committed, status);
  plan(node);
}

static void commit_waiting(struct kad_node *node, struct kad_timer *timer) {
  struct kad_durability *durability = &node->durability;
  (void)timer;
  durability->committing = durability->waiting;
  durability->waiting = NULL;
  node->store->commit(node->store->state, kad_node_now(node), on_committed,
                      node);
}

bool kad_durability_is_needed(const struct kad_node *node) {
  return node->store->commit != NULL && !node->closing;
}

void kad_durability_wait(struct kad_node *node,
                         struct kad_durability_waiter *waiter) {
  struct kad_durability *durability = &node->durability;
  if (durability->waiting == NULL) {
    durability->last = &durability->waiting;
  }
  waiter->next = NULL;
  *durability->last = waiter;
  durability->last = &waiter->next;
  plan(node);
}

void kad_durability_stop(struct kad_node *node) {
  struct kad_durability *durability = &node->durability;
  struct kad_durability_waiter *committing = durability->committing;
  struct kad_durability_waiter *waiting = durability->waiting;
  kad_timer_cancel(node, &durability->timer);
  durability->committing = NULL;
  durability->waiting = NULL;
  if (node->store != NULL && node->store->commit != NULL) {
    node->store->commit(node->store->state, kad_node_now(node), NULL, NULL);
  }
  end_all(node, committing, KAD_ECLOSED);
  end_all(node, waiting, KAD_ECLOSED);
}

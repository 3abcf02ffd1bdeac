/* What waits until the store has made the changes of a turn durable. All that
 * waits in one turn shares a commit of the store: it begins when the turn ends,
 * or when the commit before has ended.
 *
 *     wait ─► waiting ─► the turn ends ─► committing ─► committed
 *
 *     admission->durability.committed = on_committed;
 *     if (kad_durability_is_needed(node)) {
 *       kad_durability_wait(node, &admission->durability);
 *     }
 *
 * Tested by tests/unit/engine/durability_test.c. */
#ifndef KAD_ENGINE_DURABILITY_H
#define KAD_ENGINE_DURABILITY_H

#include "engine/timer.h"

/* Embedded in what waits. */
struct kad_durability_waiter {
  struct kad_durability_waiter *next;
  /* Called once, later. `status` is 0, or an error of the commit. */
  void (*committed)(struct kad_node *node, struct kad_durability_waiter *waiter,
                    int status);
};

struct kad_durability {
  struct kad_timer timer;                   /* the end of the turn */
  struct kad_durability_waiter *waiting;    /* the first */
  struct kad_durability_waiter **last;      /* where the next is linked */
  struct kad_durability_waiter *committing; /* NULL: no commit is under way */
};

/* Returns true if the store has changes to commit; they are durable at once in
 * one without `commit`, and while the node is freed none is waited for. */
bool kad_durability_is_needed(const struct kad_node *node);

/* Waits for the next commit. */
void kad_durability_wait(struct kad_node *node,
                         struct kad_durability_waiter *waiter);

/* Ends all that waits, before the node is freed, with KAD_ECLOSED. */
void kad_durability_stop(struct kad_node *node);

#endif

#include "engine/timer.h"

#include "engine/node.h"

void kad_timer_set(struct kad_node *node, struct kad_timer *timer,
                   kad_time_ms at, kad_timer_fn fire) {
  /* A timer in the past would look late, which is the sign of a suspend. */
  const kad_time_ms now = kad_node_now(node);
  timer->fire = fire;
  kad_heap_add(&node->timers, &timer->deadline, at > now ? at : now);
}

void kad_timer_cancel(struct kad_node *node, struct kad_timer *timer) {
  kad_heap_remove(&node->timers, &timer->deadline);
}

void kad_timer_fire_due(struct kad_node *node) {
  const kad_time_ms now = kad_node_now(node);
  const uint64_t before = node->timers.added;
  struct kad_deadline *due;
  while ((due = kad_heap_pop_due_before(&node->timers, now, before)) != NULL) {
    struct kad_timer *timer = kad_container_of(due, struct kad_timer, deadline);
    timer->fire(node, timer);
  }
}

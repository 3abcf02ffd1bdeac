#include "membership/suspend.h"

#include "base/time.h"
#include "engine/node.h"

void kad_suspend_detect(struct kad_node *node) {
  const kad_time_ms late =
      kad_time_since(kad_heap_next(&node->timers), kad_node_now(node));
  if (late >= KAD_SLEEP_MS) {
    node->suspend.slept += late;
    kad_maintenance_disturbed(node);
  }
}

bool kad_suspend_clock_jumped(struct kad_node *node) {
  struct kad_suspend *wake = &node->suspend;
  const struct kad_env *env = &node->env;
  const int64_t ahead_s = env->wall_clock(env->state) -
                          (int64_t)(env->now(env->state) / KAD_MS_PER_S);
  const bool has_jumped =
      wake->has_ahead && ahead_s - wake->ahead_s >= KAD_SLEEP_MS / KAD_MS_PER_S;
  wake->ahead_s = ahead_s;
  wake->has_ahead = true;
  return has_jumped;
}

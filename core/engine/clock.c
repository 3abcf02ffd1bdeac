#include "engine/clock.h"

#include "engine/node.h"

void kad_clock_detect_suspend(struct kad_node *node) {
  const kad_time_ms late =
      kad_time_since(kad_heap_next(&node->timers), kad_node_now(node));
  if (late >= KAD_SUSPEND_MIN_MS) {
    node->clock.suspended_ms += late;
    node->events->resumed(node);
  }
}

bool kad_clock_wall_jumped(struct kad_node *node) {
  struct kad_clock *clock = &node->clock;
  const struct kad_env *env = &node->env;
  const int64_t lead_s = env->wall_clock(env->state) -
                         (int64_t)(env->now(env->state) / KAD_MS_PER_S);
  const bool has_jumped =
      clock->has_wall_lead &&
      lead_s - clock->wall_lead_s >= KAD_SUSPEND_MIN_MS / KAD_MS_PER_S;
  clock->wall_lead_s = lead_s;
  clock->has_wall_lead = true;
  return has_jumped;
}

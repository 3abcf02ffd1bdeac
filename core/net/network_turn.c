#include "net/network.h"

static void settle_member(struct kad_network *network,
                          struct kad_member *member) {
  kad_time_ms at = kad_node_deadline(member->node);
  if (member->own_clock) {
    at = network->methods->member_due(member, at);
  }
  const kad_time_ms soonest = member->ticked_at + network->methods->shortest_ms;
  if (at < soonest) {
    at = soonest;
  }
  if (at == KAD_TIME_NEVER) {
    kad_wheel_remove(&network->deadlines, &member->deadline);
  } else if (!member->deadline.queued || member->deadline.at != at) {
    kad_wheel_add(&network->deadlines, &member->deadline, at);
  }
}

void kad_network_reschedule(struct kad_network *network) {
  while (network->dirty != NULL) {
    struct kad_member *member = network->dirty;
    network->dirty = member->next_dirty;
    member->dirty = false;
    settle_member(network, member);
  }
}

kad_time_ms kad_network_next(const struct kad_network *network) {
  const kad_time_ms timer = kad_heap_next(&network->timers.heap);
  const kad_time_ms deadline = kad_wheel_next(&network->deadlines);
  return timer < deadline ? timer : deadline;
}

void kad_network_fire_due(struct kad_network *network, kad_time_ms now) {
  const uint64_t mark = kad_heap_mark(&network->timers.heap);
  void (*fire)(void *data) = NULL;
  void *data = NULL;
  while (!network->stopped &&
         kad_user_timers_take(&network->timers, now, mark, &fire, &data)) {
    kad_network_enter(network);
    fire(data);
    kad_network_leave(network);
  }
}

void kad_network_tick_due(struct kad_network *network, kad_time_ms now) {
  const uint64_t mark = kad_wheel_mark(&network->deadlines);
  struct kad_deadline *due;
  while (!network->stopped && (due = kad_wheel_pop_due_before(
                                   &network->deadlines, now, mark)) != NULL) {
    struct kad_member *member =
        kad_container_of(due, struct kad_member, deadline);
    member->ticked_at = now;
    network->ticks++;
    kad_member_mark_dirty(&network->dirty, member);
    kad_network_enter(network);
    kad_node_tick(member->node);
    kad_network_leave(network);
  }
}

int kad_network_work(struct kad_network *network, void (*run)(void *data),
                     void (*done)(void *data), void *data) {
  if (network->methods->work != NULL) {
    return network->methods->work(network, run, done, data);
  }
  run(data);
  done(data);
  return 0;
}

#include "net/user_timers.h"

#include "base/allocator.h"

struct timer {
  struct kad_map_entry entry;
  struct kad_deadline deadline;
  kad_timer_id id;
  void (*fire)(void *data);
  void *data;
};

static struct timer *find(const struct kad_user_timers *timers,
                          kad_timer_id id) {
  struct kad_map_entry *entry = kad_map_first(&timers->map, id);
  return entry != NULL ? kad_container_of(entry, struct timer, entry) : NULL;
}

static void free_timer(struct kad_user_timers *timers, struct timer *timer) {
  kad_map_remove(&timers->map, &timer->entry);
  kad_heap_remove(&timers->heap, &timer->deadline);
  kad_release(&timers->allocator, timer, sizeof *timer);
}

void kad_user_timers_init(struct kad_user_timers *timers,
                          const struct kad_allocator *allocator) {
  *timers = (struct kad_user_timers){.allocator = *allocator};
  kad_map_init(&timers->map, allocator, NULL); /* an id is its own hash */
}

void kad_user_timers_deinit(struct kad_user_timers *timers) {
  struct kad_deadline *due = NULL;
  while ((due = kad_heap_pop_due(&timers->heap, KAD_TIME_NEVER)) != NULL) {
    free_timer(timers, kad_container_of(due, struct timer, deadline));
  }
  kad_map_deinit(&timers->map);
}

int kad_user_timers_start(struct kad_user_timers *timers, kad_time_ms at,
                          void (*fire)(void *data), void *data,
                          kad_timer_id *timer) {
  struct timer *started = kad_alloc_zero(&timers->allocator, sizeof *started);
  if (started == NULL) {
    return KAD_ENOMEM;
  }
  started->id = timers->last + 1;
  started->fire = fire;
  started->data = data;
  if (kad_map_add(&timers->map, &started->entry, started->id) < 0) {
    kad_release(&timers->allocator, started, sizeof *started);
    return KAD_ENOMEM;
  }
  kad_heap_add(&timers->heap, &started->deadline, at);
  timers->last = started->id;
  if (timer != NULL) {
    *timer = started->id;
  }
  return 0;
}

int kad_user_timers_stop(struct kad_user_timers *timers, kad_timer_id timer) {
  struct timer *found = find(timers, timer);
  if (found == NULL) {
    return KAD_ENOTFOUND;
  }
  free_timer(timers, found);
  return 0;
}

bool kad_user_timers_take(struct kad_user_timers *timers, kad_time_ms now,
                          uint64_t mark, void (**fire)(void *data),
                          void **data) {
  struct kad_deadline *due = kad_heap_pop_due_before(&timers->heap, now, mark);
  if (due == NULL) {
    return false;
  }
  struct timer *timer = kad_container_of(due, struct timer, deadline);
  *fire = timer->fire;
  *data = timer->data;
  free_timer(timers, timer);
  return true;
}

/* The users' timers of a network: a queue by time and a table by name. */
#ifndef KAD_NET_USER_TIMERS_H
#define KAD_NET_USER_TIMERS_H

#include "base/heap.h"
#include "base/map.h"

struct kad_user_timers {
  struct kad_allocator allocator;
  struct kad_heap heap;
  struct kad_map map;
  kad_timer_id last; /* the name given out last */
};

/* Makes an empty set that allocates nothing yet. Copies: `allocator`. */
void kad_user_timers_init(struct kad_user_timers *timers,
                          const struct kad_allocator *allocator);

/* Frees every timer; none of them fires. */
void kad_user_timers_deinit(struct kad_user_timers *timers);

/* Plans `fire(data)` for the moment `at` and names that, unless `timer` is
 * NULL. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_user_timers_start(struct kad_user_timers *timers,
                                         kad_time_ms at,
                                         void (*fire)(void *data), void *data,
                                         kad_timer_id *timer);

/* Forgets `timer`. Returns 0, or KAD_ENOTFOUND if it has fired or was stopped.
 */
int kad_user_timers_stop(struct kad_user_timers *timers, kad_timer_id timer);

/* Returns when the next one is due, KAD_TIME_NEVER when there is none. */
kad_time_ms kad_user_timers_next(const struct kad_user_timers *timers);

/* Names the moment in the order of starts that it is now. */
uint64_t kad_user_timers_mark(const struct kad_user_timers *timers);

/* Takes out the earliest timer that is due at `now` and was started before
 * `mark`: those that a callback of this turn starts wait for the next one.
 * `*fire` and `*data` are what to call. Returns false when there is none. */
bool kad_user_timers_take(struct kad_user_timers *timers, kad_time_ms now,
                          uint64_t mark, void (**fire)(void *data),
                          void **data);

#endif

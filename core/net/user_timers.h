/* The timers that users of a network start: a heap by time, a map by id.
 *
 * Tested by tests/unit/net/network_test.c. */
#ifndef KAD_NET_USER_TIMERS_H
#define KAD_NET_USER_TIMERS_H

#include "base/heap.h"
#include "base/map.h"

struct kad_user_timers {
  struct kad_allocator allocator;
  struct kad_heap heap; /* by time */
  struct kad_map map;   /* by id */
  kad_timer_id last;    /* the latest id */
};

/* Makes an empty set. Allocates nothing yet. Copies: `allocator`. */
void kad_user_timers_init(struct kad_user_timers *timers,
                          const struct kad_allocator *allocator);

/* Frees every timer; none of them fires. */
void kad_user_timers_deinit(struct kad_user_timers *timers);

/* Plans `fire(data)` for the time `at`. Sets `*timer` to its id, unless it is
 * NULL. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_user_timers_start(struct kad_user_timers *timers,
                                         kad_time_ms at,
                                         void (*fire)(void *data), void *data,
                                         kad_timer_id *timer);

/* Removes `timer`. Returns 0, or KAD_ENOTFOUND if it fired or was stopped. */
int kad_user_timers_stop(struct kad_user_timers *timers, kad_timer_id timer);

/* Removes the earliest timer that is due at `now` and was started before `mark`
 * of the heap, and sets `*fire` and `*data`, which the caller calls: a timer
 * that a callback starts waits for the next turn. Returns false if there is
 * none. */
bool kad_user_timers_take(struct kad_user_timers *timers, kad_time_ms now,
                          uint64_t mark, void (**fire)(void *data),
                          void **data);

#endif

/* The timers of the engine: a deadline with a function to call then. */
#ifndef KAD_ENGINE_TIMER_H
#define KAD_ENGINE_TIMER_H

#include "base/heap.h"

struct kad_node;
struct kad_timer;

/* Called when `timer` is due. May set the timer again, and may free the struct
 * that it is embedded in. */
typedef void (*kad_timer_fn)(struct kad_node *node, struct kad_timer *timer);

/* Embedded in a struct of its user. Zero-initialised it is not set. */
struct kad_timer {
  struct kad_deadline deadline;
  kad_timer_fn fire;
};

/* Sets `timer` to call `fire` at `at`. Moves a timer that is set already. A
 * time in the past counts as now. */
void kad_timer_set(struct kad_node *node, struct kad_timer *timer,
                   kad_time_ms at, kad_timer_fn fire);

/* Cancels `timer`. Has no effect if it is not set. */
void kad_timer_cancel(struct kad_node *node, struct kad_timer *timer);

/* Fires the timers that are due, but none that was set during this call: a
 * timer that sets itself again to now does not keep the others waiting. */
void kad_timer_fire_due(struct kad_node *node);

#endif

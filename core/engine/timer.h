/* A deadline of the engine with what to do when it is due. */
#ifndef KAD_ENGINE_TIMER_H
#define KAD_ENGINE_TIMER_H

#include "base/heap.h"

struct kad_node;
struct kad_timer;

/* Does what is due. May set the timer again and may free what holds it. */
typedef void (*kad_timer_fn)(struct kad_node *node, struct kad_timer *timer);

/* Embedded in what it wakes. */
struct kad_timer {
  struct kad_deadline deadline;
  kad_timer_fn ring;
};

/* Sets `timer` to call `ring` at `at`; one that is set already is moved. */
void kad_timer_set(struct kad_node *node, struct kad_timer *timer,
                   kad_time_ms at, kad_timer_fn ring);

/* Unsets `timer`; one that is not set is left as it is. */
void kad_timer_cancel(struct kad_node *node, struct kad_timer *timer);

#endif

/* A deadline of the engine with what to do when it is due. */
#ifndef KAD_ENGINE_TIMER_H
#define KAD_ENGINE_TIMER_H

#include "base/heap.h"

struct kad_node;
struct kad_alarm;

/* Does what is due. May set the alarm again and may free what holds it. */
typedef void (*kad_ring)(struct kad_node *node, struct kad_alarm *alarm);

/* Embedded in what it wakes. */
struct kad_alarm {
  struct kad_deadline deadline;
  kad_ring ring;
};

/* Sets `alarm` to call `ring` at `at`; one that is set already is moved. */
void kad_alarm_set(struct kad_node *node, struct kad_alarm *alarm,
                   kad_time_ms at, kad_ring ring);

/* Unsets `alarm`; one that is not set is left as it is. */
void kad_alarm_unset(struct kad_node *node, struct kad_alarm *alarm);

#endif

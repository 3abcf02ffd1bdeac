/* Sleep: the machine stood still while the world went on. Some monotonic clocks
 * go on too, others stand still with it.
 *
 * The engine's own clock (kad_node_now) leaves sleep out in either case: else
 * all records would expire at once, and all contacts be silent for too long.
 * What was due first when the machine fell asleep is due when it wakes. Then
 * the table is looked after as after a join. */
#ifndef KAD_MEMBERSHIP_SUSPEND_H
#define KAD_MEMBERSHIP_SUSPEND_H

#include "kadenza.h"

enum {
  KAD_SLEEP_MS = 60000 /* an timer so late, or a wall clock so far ahead of the
                          other one: we have slept */
};

/* What is known of the clocks of a node. */
struct kad_suspend {
  kad_time_ms slept; /* in all: the engine's clock is so much behind */
  int64_t ahead_s;   /* the wall's clock before the monotonic one */
  bool has_ahead;
};

/* Notices sleep, before anything is done that depends on the time; for each way
 * into the engine. */
void kad_suspend_detect(struct kad_node *node);

/* Returns true if the wall's clock has gained on the monotonic one since the
 * last call. */
bool kad_suspend_clock_jumped(struct kad_node *node);

#endif

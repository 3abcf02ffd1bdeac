/* The clock of the engine. It leaves out the time that the machine was
 * suspended: otherwise all records would expire at once on resume, and all
 * contacts would look silent for too long. The timer that was due first at the
 * suspend is due when the machine resumes. The node then refreshes its table as
 * after a join.
 *
 * The monotonic clocks of some systems stand still during a suspend. Then the
 * wall clock gains on the monotonic clock; that shows the suspend. */
#ifndef KAD_ENGINE_CLOCK_H
#define KAD_ENGINE_CLOCK_H

#include "kadenza.h"

enum {
  KAD_SUSPEND_MIN_MS = 60000 /* a timer so late, or a wall clock that gained so
                                much, means a suspend */
};

struct kad_clock {
  kad_time_ms suspended_ms; /* in all; kad_node_now is env.now less this */
  int64_t wall_lead_s;      /* the wall clock less env.now */
  bool has_wall_lead;
};

/* Notices a suspend, and emits the event `resumed`. Every entry to the engine
 * calls it before anything that depends on the time. */
void kad_clock_detect_suspend(struct kad_node *node);

/* Returns true if the wall clock has gained KAD_SUSPEND_MIN_MS on env.now since
 * the last call. */
bool kad_clock_wall_jumped(struct kad_node *node);

#endif

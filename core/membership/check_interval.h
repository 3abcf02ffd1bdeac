/* The interval between liveness checks. It adapts to their outcome: long while
 * all contacts answer, shorter while some do not. So a stable overlay costs
 * little, however large the table is, and in an unstable one bad contacts leave
 * the table soon.
 *
 *   answered, or no contact to check ─► the interval grows by a sixteenth
 *   not answered ─────────────────────► the interval is halved
 *
 * It is stable when one check in twelve is not answered.
 * Tested by tests/sim/refresh_test.c, tests/unit/membership/maintenance_test.c.
 */
#ifndef KAD_MEMBERSHIP_CHECK_INTERVAL_H
#define KAD_MEMBERSHIP_CHECK_INTERVAL_H

#include "kadenza.h"

enum {
  KAD_CHECK_INTERVAL_MIN_MS = 5000,
  KAD_CHECK_INTERVAL_MAX_MS = 30000
};

/* Sets the interval, within its bounds. */
void kad_check_interval_set(struct kad_node *node, kad_time_ms interval_ms);

/* Adapts the interval to the outcome of a liveness check. */
void kad_check_interval_adapt(struct kad_node *node, bool answered);

#endif

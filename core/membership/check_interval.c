#include "membership/check_interval.h"

#include "engine/node.h"

enum {
  GROWTH = 16 /* the interval grows by this part of itself */
};

void kad_check_interval_set(struct kad_node *node, kad_time_ms interval_ms) {
  if (interval_ms < KAD_CHECK_INTERVAL_MIN_MS) {
    interval_ms = KAD_CHECK_INTERVAL_MIN_MS;
  }
  node->maintenance.check_interval_ms = interval_ms < KAD_CHECK_INTERVAL_MAX_MS
                                            ? interval_ms
                                            : KAD_CHECK_INTERVAL_MAX_MS;
}

void kad_check_interval_adapt(struct kad_node *node, bool answered) {
  const kad_time_ms interval_ms = node->maintenance.check_interval_ms;
  kad_check_interval_set(node, answered ? interval_ms + interval_ms / GROWTH
                                        : interval_ms / 2);
}

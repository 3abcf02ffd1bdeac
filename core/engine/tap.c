#include "engine/tap.h"

#include <string.h>

/* A counter of struct kad_stats. */
struct counter {
  const char *name;
  size_t offset;
};

static const char prefix[] = "dropped_";

static uint64_t value_of(const struct kad_stats *stats,
                         const struct counter *counter) {
  uint64_t value = 0;
  memcpy(&value, (const char *)stats + counter->offset, sizeof value);
  return value;
}

void kad_tap_note_drop(const struct kad_node *node,
                       const struct kad_stats *before,
                       const struct kad_address *from,
                       struct kad_slice datagram) {
#define COUNTER(name, text) {#name, offsetof(struct kad_stats, name)},
  static const struct counter counters[] = {KAD_STATS_MAP(COUNTER)};
#undef COUNTER
  const size_t len = sizeof prefix - 1;
  for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
    const struct counter *counter = &counters[i];
    if (node->tap != NULL && strncmp(counter->name, prefix, len) == 0 &&
        value_of(&node->stats, counter) > value_of(before, counter)) {
      const struct kad_tapped tapped = {.event = KAD_TAP_DROPPED,
                                        .peer = from,
                                        .message = datagram,
                                        .reason = counter->name + len};
      node->tap(node->tap_data, &tapped);
      return;
    }
  }
}

void kad_node_set_tap(struct kad_node *node, kad_tap_fn tap, void *data) {
  if (node != NULL) {
    node->tap = tap;
    node->tap_data = data;
  }
}

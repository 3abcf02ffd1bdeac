#include "node/hasten.h"

#include "engine/node.h"
#include "engine/rng.h"

/* Hastens one record. */
static void hasten_record(struct kad_node *node, kad_record_handle handle) {
  struct kad_held held;
  const kad_time_ms at =
      kad_time_add(kad_node_now(node), kad_rng_below(node, KAD_HASTEN_MS));
  if (kad_store_read(node->store, handle, &held) &&
      held.meta.republish_at != KAD_TIME_NEVER && held.meta.republish_at > at) {
    struct kad_record_meta meta = held.meta;
    meta.republish_at = at;
    kad_store_set_meta(node->store, handle, &meta);
  }
}

static void hasten_batch(struct kad_node *node, struct kad_timer *timer) {
  for (int i = 0; i < KAD_HASTEN_BATCH; i++) {
    const kad_record_handle handle =
        kad_store_next(node->store, &node->hasten.cursor);
    if (handle == 0) {
      kad_republish_plan(node);
      return;
    }
    hasten_record(node, handle);
  }
  kad_timer_set(node, timer, kad_node_now(node), hasten_batch);
}

void kad_hasten_start(struct kad_node *node) {
  node->hasten.cursor = 0;
  kad_timer_set(node, &node->hasten.timer, kad_node_now(node), hasten_batch);
}

void kad_hasten_stop(struct kad_node *node) {
  kad_timer_cancel(node, &node->hasten.timer);
}

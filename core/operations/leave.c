/* Leaving the overlay: hands off the records that are held here.
 *
 * Tested by tests/sim/handoff_test.c.
 */
#include "base/time.h"
#include "engine/node.h"

static void end_leave(struct kad_node *node, void *data) {
  kad_operation_end(node, data, 0);
}

static void start_leave(struct kad_node *node, struct kad_operation *op) {
  kad_time_ms end = kad_time_add(kad_node_now(node), op->options.deadline_ms);
  if (node->handoff.leave_done != NULL) { /* two were started in one tick */
    kad_operation_end(node, op, KAD_EBUSY);
    return;
  }
  kad_timer_set(node, &op->overdue, end, op->overdue.fire);
  kad_handoff_leave(node, end_leave, op);
}

static void stop_leave(struct kad_node *node, struct kad_operation *op) {
  if (node->handoff.leave_data == op) {
    kad_handoff_cancel_leave(node);
  }
}

static const struct kad_operation_kind leave_kind = {
    .start = start_leave,
    .stop = stop_leave,
};

int kad_node_leave(struct kad_node *node, uint32_t deadline_ms,
                   kad_done_fn done, void *data, kad_operation_id *operation) {
  const struct kad_lookup_options options = {.deadline_ms = deadline_ms};
  const struct kad_operation_request request = {
      .kind = &leave_kind,
      .size = sizeof(struct kad_operation),
      .options = &options,
      .done = done,
      .data = data};
  if (node == NULL) {
    return KAD_EINVAL;
  }
  if (node->handoff.leave_done != NULL) {
    return KAD_EBUSY;
  }
  return kad_operation_new(node, &request, NULL, operation);
}

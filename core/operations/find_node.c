/* Looking up the contacts closest to an id.
 *
 * Tested by tests/unit/operations/operation_test.c,
 * tests/sim/lookup_rules_test.c.
 */
#include "engine/node.h"

/* A lookup that the deadline has ended may not have found the closest. */
static void end_find_node(struct kad_node *node, struct kad_operation *op) {
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  bool found =
      kad_operation_closest(op, closest) > 0 && !kad_operation_timed_out(op);
  kad_operation_end(node, op,
                    found ? 0 : kad_operation_no_answer_error(node, op));
}

static const struct kad_operation_kind find_node_kind = {
    .method = KAD_METHOD_FIND_NODE,
    .timed = KAD_TIMED_FIND_NODE,
    .start = kad_operation_look_up,
    .looked_up = end_find_node,
};

int kad_node_find_node(struct kad_node *node, const struct kad_id *target,
                       const struct kad_lookup_options *options,
                       kad_done_fn done, void *data,
                       kad_operation_id *operation) {
  const struct kad_operation_request request = {
      .kind = &find_node_kind,
      .size = sizeof(struct kad_operation),
      .options = options,
      .target = target,
      .done = done,
      .data = data};
  if (node == NULL || target == NULL) {
    return KAD_EINVAL;
  }
  return kad_operation_new(node, &request, NULL, operation);
}

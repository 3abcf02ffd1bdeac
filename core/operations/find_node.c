/* Lookups of the contacts closest to an id. */
#include "engine/node.h"

/* One that its deadline ended has not found the closest for sure. */
static void end_find_node(struct kad_node *node, struct kad_op *op) {
  const struct kad_candidate *closest[2 * KAD_WIDTH_MAX];
  bool found = kad_op_closest(op, closest) > 0 && !kad_op_timed_out(op);
  kad_op_end(node, op, found ? 0 : kad_op_silence(op));
}

static const struct kad_op_kind find_node_kind = {
    .method = KAD_METHOD_FIND_NODE,
    .start = kad_op_look_up,
    .looked_up = end_find_node,
};

int kad_node_find_node(struct kad_node *node, const struct kad_id *target,
                       const struct kad_lookup_options *options, kad_done done,
                       void *data, kad_operation *operation) {
  const struct kad_op_request request = {.kind = &find_node_kind,
                                         .size = sizeof(struct kad_op),
                                         .options = options,
                                         .target = target,
                                         .done = done,
                                         .data = data};
  struct kad_op *op;
  if (node == NULL || target == NULL) {
    return KAD_EINVAL;
  }
  int error = kad_op_new(node, &request, &op);
  if (error == 0 && operation != NULL) {
    *operation = op->name;
  }
  return error;
}

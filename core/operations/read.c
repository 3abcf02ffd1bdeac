#include "operations/read.h"

#include "engine/node.h"
#include "replication/held.h"

void kad_read_start(struct kad_node *node, struct kad_read *read,
                    struct kad_slice type, kad_read_add_fn add) {
  struct kad_operation *op = &read->op;
  const struct kad_record query = {.key = op->target, .type = type};
  struct kad_held_list held;
  read->ruleset = node->ruleset;
  kad_ruleset_retain(read->ruleset);
  read->type = kad_ruleset_type(read->ruleset, type);
  if (read->type == NULL) {
    kad_operation_end(node, op, KAD_ETYPE);
    return;
  }
  if (kad_held_list_read(node, &query, read->type, &held) == 0) {
    for (size_t i = 0; i < held.count; i++) {
      add(node, read, &held.records[i]);
    }
    op->holders += held.count > 0;
    kad_held_list_free(node, &held);
  }
  op->hurried = !op->internal && op->options.quorum < op->options.k;
  kad_operation_look_up_rest(node, op);
}

bool kad_read_call_hook(struct kad_node *node, struct kad_read *read,
                        kad_hook_fn hook, struct kad_hook_call *call) {
  call->reason = KAD_REASON_GET;
  return kad_operation_call_hook(node, &read->op, read->ruleset, read->type,
                                 hook, call);
}

void kad_read_stop(struct kad_node *node, struct kad_read *read) {
  if (read->ruleset != NULL) {
    kad_ruleset_drop(read->ruleset, &node->env.allocator);
  }
}

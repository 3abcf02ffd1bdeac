/* Addresses that are blocked or exempt: see kadenza_blocklist.h. The checks are
 * where datagrams come in (node.c), go out (rpc/datagram.c, rpc/rpc.c), and
 * where contacts enter (lookup/lookup.c, membership/contact_admission.c).
 *
 * Tested by tests/unit/node/blocklist_test.c. */
#include "engine/node.h"
#include "kadenza_blocklist.h"

/* Replaces `*set`, unless there is an error. */
static int replace(const struct kad_node *node, struct kad_address_set *set,
                   const struct kad_address_range *ranges, size_t count) {
  const struct kad_allocator *allocator = &node->env.allocator;
  struct kad_address_set made;
  if (node->sending) {
    return KAD_EBUSY;
  }
  const int error = kad_address_set_make(ranges, count, allocator, &made);
  if (error == 0) {
    kad_address_set_deinit(set, allocator);
    *set = made;
  }
  return error;
}

/* Removes contacts that are blocked now. */
static void throw_out(struct kad_node *node) {
  size_t removed = 0;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    if (node->tables[i] != NULL) {
      removed += kad_table_throw_out(node->tables[i], &node->blocked);
    }
  }
  if (removed > 0) {
    kad_neighbours_moved(node);
  }
}

int kad_node_block(struct kad_node *node,
                   const struct kad_address_range *ranges, size_t count) {
  if (node == NULL || (ranges == NULL && count > 0)) {
    return KAD_EINVAL;
  }
  const int error = replace(node, &node->blocked, ranges, count);
  if (error == 0) {
    throw_out(node);
  }
  return error;
}

int kad_node_exempt(struct kad_node *node,
                    const struct kad_address_range *ranges, size_t count) {
  if (node == NULL || (ranges == NULL && count > 0)) {
    return KAD_EINVAL;
  }
  return replace(node, &node->exempt, ranges, count);
}

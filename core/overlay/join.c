/* Joining: the bootstrap addresses are pinged; with the first that answers the
 * own id is looked up; then every bucket farther than the closest neighbour is
 * refreshed in the background. Source: Kademlia §2.3. */
#include "overlay/node.h"

#include <string.h>

struct join {
  struct kad_op op;
  struct kad_address known[KAD_KNOWN_MAX];
  size_t known_count;
  uint32_t open; /* pings under way, one for the function that sends them */
  bool looking;
};

static struct join *join_of(struct kad_op *op) {
  return kad_container_of(op, struct join, op);
}

static void look_up_self(struct kad_node *node, struct join *join,
                         const struct kad_contact *seed) {
  if (!join->looking && join->op.state == KAD_OPERATION_RUNNING) {
    join->looking = true;
    kad_op_look_up(node, &join->op, seed);
  }
}

/* Counts one ping less; when nobody has answered, the table is all there is. */
static void close_ping(struct kad_node *node, struct join *join) {
  if (--join->open == 0) {
    look_up_self(node, join, NULL);
  }
}

static void ping_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct join *join = query->owner;
  (void)message;
  if (event == KAD_QUERY_SOFT) {
    return;
  }
  if (event == KAD_QUERY_REPLY) {
    look_up_self(node, join, &query->to);
  }
  close_ping(node, join);
}

static void start_join(struct kad_node *node, struct kad_op *op) {
  struct join *join = join_of(op);
  join->open = 1;
  for (size_t i = 0; i < join->known_count; i++) {
    const struct kad_contact contact = {.address = join->known[i]};
    struct kad_message message;
    kad_message_init(&message, KAD_MESSAGE_QUERY);
    message.method = KAD_METHOD_PING;
    if (kad_rpc_send(node, &contact, &message, ping_event, join, NULL) == 0) {
      join->open++;
    }
  }
  close_ping(node, join);
}

static void end_join(struct kad_node *node, struct kad_op *op) {
  const struct kad_candidate *closest[2 * KAD_WIDTH_MAX];
  bool found = kad_op_closest(op, closest) > 0;
  if (found) {
    kad_maintenance_joined(node);
  }
  kad_op_end(node, op, found ? 0 : KAD_ENOCONTACTS);
}

static const struct kad_op_kind join_kind = {
    .method = KAD_METHOD_FIND_NODE,
    .start = start_join,
    .looked_up = end_join,
};

int kad_node_bootstrap(struct kad_node *node, const struct kad_address *known,
                       size_t count, kad_done done, void *data,
                       kad_operation *operation) {
  struct kad_op *op;
  if (node == NULL || (known == NULL && count > 0)) {
    return KAD_EINVAL;
  }
  const struct kad_op_request request = {.kind = &join_kind,
                                         .size = sizeof(struct join),
                                         .target = &node->config.id,
                                         .done = done,
                                         .data = data};
  int error = kad_op_new(node, &request, &op);
  if (error != 0) {
    return error;
  }
  struct join *join = join_of(op);
  join->known_count = count < KAD_KNOWN_MAX ? count : KAD_KNOWN_MAX;
  if (count > 0) {
    memcpy(join->known, known, join->known_count * sizeof *known);
  }
  kad_maintenance_remember(node, known, join->known_count);
  if (operation != NULL) {
    *operation = op->name;
  }
  return 0;
}

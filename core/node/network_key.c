/* The keys of a sealed node: see kadenza_network_key.h. rpc/sealing.h has what
 * they do.
 *
 * Tested by tests/unit/node/network_key_test.c. */
#include "engine/node.h"
#include "rpc/datagram.h"
#include "rpc/record_size.h"

int kad_node_set_network_keys(struct kad_node *node,
                              const struct kad_network_keys *keys) {
  if (node == NULL || keys == NULL || node->sealing == NULL ||
      !kad_seal_takes(keys)) {
    return KAD_EINVAL;
  }
  kad_sealing_set_keys(node->sealing, keys);
  return 0;
}

bool kad_node_is_sealed(const struct kad_node *node) {
  return node != NULL && node->sealing != NULL;
}

size_t kad_node_message_room(const struct kad_node *node) {
  return node != NULL ? kad_datagram_room(node) : 0;
}

size_t kad_node_value_room(const struct kad_node *node) {
  return node != NULL ? kad_record_value_room(node) : 0;
}

bool kad_node_next_seal_notice(const struct kad_node *node, uint64_t *cursor,
                               struct kad_seal_notice *notice) {
  if (node == NULL || cursor == NULL || notice == NULL ||
      node->sealing == NULL) {
    return false;
  }
  const struct kad_sealing *sealing = node->sealing;
  if (*cursor < sealing->first_notice) {
    *cursor = sealing->first_notice;
  }
  if (*cursor - sealing->first_notice >= sealing->notice_count) {
    return false;
  }
  *notice = sealing->notices[(*cursor)++ - sealing->first_notice];
  return true;
}

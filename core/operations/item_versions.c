#include "operations/item_versions.h"

#include "engine/node.h"
#include "replication/record_check.h"

/* Returns true if `reply` has a newer version than `known`, with its proof. */
static bool proves_newer(struct kad_node *node, const struct kad_record *ours,
                         int64_t known, const struct kad_message *reply) {
  const char *reason = NULL;
  if (!reply->has_item || reply->records[0].publisher == NULL ||
      reply->records[0].seq <= known) {
    return false;
  }
  struct kad_record theirs = reply->records[0];
  theirs.key = ours->key;
  theirs.type = ours->type;
  theirs.salt = ours->salt;
  return kad_record_check_type(node,
                               kad_ruleset_type(node->ruleset, ours->type),
                               &theirs, &reason) == 0;
}

void kad_item_versions_read(struct kad_node *node,
                            struct kad_item_versions *versions,
                            const struct kad_record *ours, int64_t known,
                            const struct kad_message *reply) {
  if (ours->publisher == NULL || !reply->has_seq) {
    return;
  }
  const bool is_proven = proves_newer(node, ours, known, reply);
  if (is_proven && !versions->is_proven) {
    versions->is_proven = true;
    versions->has_seq = false; /* claims count no more */
  }
  if (is_proven == versions->is_proven &&
      (!versions->has_seq || reply->seq > versions->seq)) {
    versions->has_seq = true;
    versions->seq = reply->seq;
  }
}

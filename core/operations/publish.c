/* Publishing: adds and removes the records that a node republishes for its
 * user. replication/republish.c stores them.
 *
 * Tested by tests/sim/publications_test.c.
 */
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "replication/record_check.h"

int kad_node_publish(struct kad_node *node, const struct kad_record *record,
                     uint32_t within_s) {
  const char *reason = NULL;
  if (node == NULL || record == NULL || record->type.len == 0) {
    return KAD_EINVAL;
  }
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  if (type == NULL) {
    return KAD_ETYPE;
  }
  int code = kad_record_check_new(node, type, record, &reason);
  if (code != 0) {
    return kad_record_check_error(code);
  }
  kad_time_ms within = (kad_time_ms)within_s * KAD_MS_PER_S;
  kad_time_ms first = kad_rng_below(
      node, within < UINT32_MAX ? (uint32_t)within + 1 : UINT32_MAX);
  int error = kad_publications_add(node, record, first);
  if (error == 0) {
    kad_republish_plan(node);
  }
  return error;
}

int kad_node_unpublish(struct kad_node *node, const struct kad_id *key,
                       struct kad_slice type, const struct kad_slice *value) {
  if (node == NULL || key == NULL || type.len == 0) {
    return KAD_EINVAL;
  }
  int error = kad_publications_remove(node, key, type, value);
  kad_republish_plan(node);
  return error;
}

bool kad_node_next_publication(const struct kad_node *node, uint64_t *cursor,
                               struct kad_record *record) {
  if (node == NULL || cursor == NULL || record == NULL) {
    return false;
  }
  const struct kad_store *store = node->publications.store;
  return store != NULL &&
         kad_publications_read(node, kad_store_next(store, cursor), record);
}

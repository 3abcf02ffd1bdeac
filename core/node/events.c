#include "node/events.h"

#include "engine/node.h"
#include "membership/contact_admission.h"
#include "node/configure.h"
#include "node/hasten.h"
#include "operations/join.h"
#include "operations/put.h"

static void on_contact_failed(struct kad_node *node,
                              const struct kad_contact *contact) {
  kad_liveness_contact_failed(node, contact);
  kad_neighbours_contact_failed(node, contact);
}

static void on_address_observed(struct kad_node *node,
                                const struct kad_contact *reporter,
                                const struct kad_address *observed) {
  kad_observed_address_vote(node, &reporter->address, observed);
  kad_own_id_vote(node, reporter, observed);
  kad_reachability_vote(node, &reporter->address, observed);
}

static void on_resumed(struct kad_node *node) {
  kad_reachability_restart(node);
  kad_maintenance_refresh_all(node);
}

static void on_id_moved(struct kad_node *node) {
  node->quota = kad_configure_quota(&node->config);
  kad_hasten_start(node);
}

static void end_rejoin(void *data, const struct kad_result *result) {
  kad_maintenance_rejoin_ended(data, result->status);
}

static void on_rejoin_due(struct kad_node *node,
                          const struct kad_address *known, size_t count) {
  if (kad_node_bootstrap(node, known, count, end_rejoin, node, NULL) == 0) {
    kad_rejoin_started(node);
  }
}

const struct kad_events kad_node_events = {
    .resumed = on_resumed,
    .contact_answered = kad_contact_answered,
    .contact_failed = on_contact_failed,
    .contact_replaced = kad_neighbours_contact_replaced,
    .address_observed = on_address_observed,
    .id_moved = on_id_moved,
    .unasked_answered = kad_reachability_answered,
    .became_read_only = kad_hasten_start,
    .rejoin_due = on_rejoin_due,
    .name_resolved = kad_join_name_resolved,
    .neighbour_joined = kad_handoff_neighbour_joined,
    .neighbour_left = kad_handoff_neighbour_left,
    .republish = kad_put_republish,
};

#include "node/events.h"

#include "engine/node.h"
#include "membership/contact_admission.h"
#include "operations/put.h"

static void note_failure(struct kad_node *node,
                         const struct kad_contact *contact) {
  kad_liveness_failed(node, contact);
  kad_neighbours_lost(node, contact);
}

const struct kad_events kad_node_events = {
    .resumed = kad_maintenance_disturbed,
    .contact_answered = kad_contact_answered,
    .contact_failed = note_failure,
    .contact_replaced = kad_neighbours_gone,
    .address_observed = kad_observed_address_vote,
    .republish = kad_put_republish,
};

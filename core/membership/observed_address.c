#include "membership/observed_address.h"

#include "base/address.h"
#include "engine/node.h"

/* Returns true if `from`, or an address in its subnet, has voted. */
static bool has_voted(const struct kad_node *node,
                      const struct kad_observed_address *observed,
                      const struct kad_address *from) {
  const bool is_exempt = node->config.allow_local && kad_address_is_local(from);
  for (size_t i = 0; i < observed->votes; i++) {
    const struct kad_address *voter = &observed->voters[i];
    if (kad_address_equal(voter, from) ||
        (!is_exempt && kad_address_same_subnet(voter, from))) {
      return true;
    }
  }
  return false;
}

/* Makes the candidate our address. The first address is not a change. */
static void accept_candidate(struct kad_node *node,
                             struct kad_observed_address *observed) {
  const bool has_changed = observed->address.family != 0;
  const bool is_elsewhere =
      has_changed &&
      !kad_address_same_ip(&observed->address, &observed->candidate);
  observed->address = observed->candidate;
  observed->votes = 0;
  if (is_elsewhere) { /* another port: a mapping of the same NAT has ended */
    kad_reachability_restart(node);
  }
  if (has_changed) {
    kad_maintenance_refresh_all(node);
  }
}

void kad_observed_address_vote(struct kad_node *node,
                               const struct kad_address *from,
                               const struct kad_address *observed) {
  struct kad_observed_address *own =
      &node->observed[kad_family_index(from->family)];
  if (observed->family != from->family ||
      kad_address_is_martian(observed, node->config.allow_local)) {
    return;
  }
  if (kad_address_equal(observed, &own->address)) {
    own->votes = 0;
    return;
  }
  if (own->votes == 0 || !kad_address_equal(observed, &own->candidate)) {
    own->candidate = *observed;
    own->votes = 0;
  }
  if (has_voted(node, own, from)) {
    return;
  }
  if (own->votes + 1 == KAD_OBSERVED_VOTES) {
    accept_candidate(node, own);
  } else {
    own->voters[own->votes++] = *from;
  }
}

bool kad_node_observed(const struct kad_node *node, unsigned family,
                       struct kad_address *address) {
  if (node == NULL || address == NULL) {
    return false;
  }
  if (node == NULL || address == NULL || (family != 4 && family != 6)) {
    return false;
  }
  const struct kad_observed_address *own =
      &node->observed[kad_family_index(family)];
  if (own->address.family != 0) {
    *address = own->address;
  }
  return own->address.family != 0;
}

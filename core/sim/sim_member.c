#include "base/allocator.h"
#include "sim/sim.h"

struct kad_sim_member *kad_sim_member_find(const struct kad_network *network,
                                           const struct kad_node *node) {
  if (kad_sim_checked(network) == NULL) {
    return NULL;
  }
  struct kad_member *member = kad_network_find_member(network, node);
  return member != NULL && member->simulated ? kad_sim_member_of(member) : NULL;
}

struct kad_sim_extra *kad_sim_member_extra(struct kad_sim_member *member) {
  if (member->extra == NULL) {
    member->extra =
        kad_alloc_zero(&member->base.network->allocator, sizeof *member->extra);
  }
  return member->extra;
}

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

int kad_sim_member_get_extra(const struct kad_network *network,
                             const struct kad_node *node,
                             struct kad_sim_member **member) {
  *member = kad_sim_member_find(network, node);
  if (*member == NULL) {
    return KAD_EINVAL;
  }
  return kad_sim_member_extra(*member) != NULL ? 0 : KAD_ENOMEM;
}

#include "net/sim.h"
#include "overlay/operation.h"

/* What users do to the nodes of a simulated network. */

struct kad_sim_member *kad_sim_find_member(const struct kad_network *network,
                                           const struct kad_node *node) {
  if (kad_sim_checked(network) == NULL) {
    return NULL;
  }
  struct kad_member *member = kad_network_find_member(network, node);
  return member == NULL || member->carried ? NULL : kad_sim_member_of(member);
}

int kad_sim_stats(const struct kad_network *network,
                  struct kad_sim_stats *stats) {
  const struct kad_sim *sim = kad_sim_checked(network);
  if (sim == NULL) {
    return KAD_EINVAL;
  }
  *stats = sim->stats;
  return 0;
}

int kad_sim_set_group(struct kad_network *network, struct kad_node *node,
                      uint32_t group) {
  struct kad_sim_member *member = kad_sim_find_member(network, node);
  if (member == NULL) {
    return KAD_EINVAL;
  }
  member->group = group;
  kad_sim_of(network)->grouped = true;
  return 0;
}

int kad_sim_heal(struct kad_network *network) {
  struct kad_sim *sim = kad_sim_checked(network);
  if (sim == NULL) {
    return KAD_EINVAL;
  }
  sim->grouped = false;
  struct kad_member *member = network->members;
  for (; member != NULL; member = member->next) {
    if (!member->carried) {
      kad_sim_member_of(member)->group = 0;
    }
  }
  return 0;
}

int kad_sim_kill(struct kad_network *network, struct kad_node *node) {
  if (kad_sim_find_member(network, node) == NULL) {
    return KAD_EINVAL;
  }
  kad_operations_forget(node);
  kad_network_close_node(network, node);
  return 0;
}

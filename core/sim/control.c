/* What users do to a simulated network: groups, bandwidth, moves, crashes.
 * Tested by tests/unit/sim/life_test.c. */
#include "operations/operation.h"
#include "sim/nat.h"
#include "sim/sim.h"

#include <assert.h>
#include <string.h>

int kad_sim_read_stats(const struct kad_network *network,
                       struct kad_sim_stats *stats) {
  if (network == NULL || stats == NULL) {
    return KAD_EINVAL;
  }
  const struct kad_sim *sim = kad_sim_checked(network);
  if (sim == NULL) {
    return KAD_EINVAL;
  }
  *stats = sim->stats;
  stats->ticks = sim->base.ticks;
  return 0;
}

int kad_sim_set_group(struct kad_network *network, struct kad_node *node,
                      uint32_t group) {
  if (network == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim_member *member = kad_sim_member_find(network, node);
  if (member == NULL) {
    return KAD_EINVAL;
  }
  member->group = group;
  kad_sim_of(network)->grouped = true;
  return 0;
}

int kad_sim_heal(struct kad_network *network) {
  if (network == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim *sim = kad_sim_checked(network);
  if (sim == NULL) {
    return KAD_EINVAL;
  }
  sim->grouped = false;
  struct kad_member *member = network->members;
  for (; member != NULL; member = member->next) {
    if (member->simulated) {
      kad_sim_member_of(member)->group = 0;
    }
  }
  return 0;
}

int kad_sim_set_bandwidth(struct kad_network *network, struct kad_node *node,
                          uint64_t bytes_per_s) {
  if (network == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim_member *member = NULL;
  const int error = kad_sim_member_get_extra(network, node, &member);
  if (error == 0) {
    member->extra->bandwidth = bytes_per_s;
  }
  return error;
}

static bool has_same_families(const struct kad_member *member,
                              const struct kad_address *listen, size_t count) {
  bool kept = count == member->address_count;
  for (size_t i = 0; kept && i < count; i++) {
    kept = listen[i].family == member->addresses[i].family;
  }
  return kept;
}

int kad_sim_move(struct kad_network *network, struct kad_node *node,
                 const struct kad_address *listen, size_t count) {
  if (network == NULL || node == NULL || listen == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim_member *member = kad_sim_member_find(network, node);
  if (member == NULL || !has_same_families(&member->base, listen, count)) {
    return KAD_EINVAL;
  }
  struct kad_address old[KAD_MEMBER_ADDRESSES];
  memcpy(old, member->base.addresses, count * sizeof *old);
  kad_nat_unbind(member);
  const int error = kad_sim_sockets_bind(member, listen, count);
  if (error < 0) {
    /* The old addresses were free just now, and the map has room. */
    const int restored = kad_sim_sockets_bind(member, old, count);
    assert(restored == 0);
    (void)restored;
  }
  return error;
}

int kad_sim_set_trace(struct kad_network *network, kad_sim_trace_fn trace,
                      void *data) {
  if (network == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim *sim = kad_sim_checked(network);
  if (sim == NULL) {
    return KAD_EINVAL;
  }
  sim->tracer = trace;
  sim->tracer_data = data;
  return 0;
}

int kad_sim_kill(struct kad_network *network, struct kad_node *node) {
  if (network == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  if (kad_sim_member_find(network, node) == NULL) {
    return KAD_EINVAL;
  }
  kad_operations_forget(node);
  kad_network_close_node(network, node);
  return 0;
}

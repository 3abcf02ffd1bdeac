#include "sim/nat.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"

#include <assert.h>
#include <string.h>

enum {
  IDLE_S_DEFAULT = 60,
  IDLE_S_MAX = 86400
};

static struct kad_sim *sim_of(const struct kad_nat *nat) {
  return kad_sim_of(nat->member->base.network);
}

static bool has_expired(const struct kad_nat *nat, kad_time_ms used) {
  return sim_of(nat)->now - used >= nat->idle_ms;
}

static void unbind_mapping(struct kad_nat_mapping *mapping) {
  if (mapping->bound) {
    kad_sim_sockets_remove(sim_of(mapping->nat), &mapping->outer);
    mapping->bound = false;
  }
}

/* Returns the address of socket `i` with the NAT's ip. */
static struct kad_address outer_of(const struct kad_nat *nat, int i) {
  struct kad_address outer = nat->member->base.addresses[i];
  if (nat->config.outer.family == outer.family) {
    memcpy(outer.ip, nat->config.outer.ip, sizeof outer.ip);
  }
  return outer;
}

/* Gives socket `i` an outer address. Returns false if none is free. */
static bool bind_mapping(struct kad_nat *nat, int i,
                         struct kad_nat_mapping *mapping) {
  struct kad_sim *sim = sim_of(nat);
  struct kad_address outer = outer_of(nat, i);
  const bool own_port =
      nat->config.kind != KAD_SIM_NAT_KIND_SYMMETRIC &&
      kad_sim_sockets_find(sim, &outer, kad_sim_sockets_hash(&outer)) == NULL;
  if (!own_port && !kad_sim_sockets_choose_port(sim, &outer)) {
    return false;
  }
  outer.via = (uint8_t)(i + 1);
  mapping->nat = nat;
  mapping->outer.address = outer;
  mapping->outer.mapped = true;
  mapping->outer.member = nat->member;
  mapping->bound = kad_map_add(&sim->sockets, &mapping->outer.entry,
                               kad_sim_sockets_hash(&outer)) == 0;
  return mapping->bound;
}

static uint64_t hash_peer(const struct kad_address *peer) {
  return kad_sim_mix(kad_sim_sockets_hash(peer) + peer->via);
}

/* Returns the key of `peer` in the flows of socket `i`. */
static struct kad_address key_of(const struct kad_nat *nat, unsigned i,
                                 const struct kad_address *peer) {
  struct kad_address key = *peer;
  key.via = (uint8_t)(i + 1);
  if (nat->config.kind == KAD_SIM_NAT_KIND_RESTRICTED) {
    key.port = 0;
  }
  return key;
}

static struct kad_nat_flow *find(const struct kad_nat *nat,
                                 const struct kad_address *key) {
  struct kad_map_entry *entry = kad_map_first(&nat->flows, hash_peer(key));
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct kad_nat_flow *flow =
        kad_container_of(entry, struct kad_nat_flow, entry);
    if (flow->peer.via == key->via && kad_address_equal(&flow->peer, key)) {
      return flow;
    }
  }
  return NULL;
}

static void unlink_flow(struct kad_nat *nat, struct kad_nat_flow *flow) {
  *(flow->previous != NULL ? &flow->previous->next : &nat->oldest) = flow->next;
  *(flow->next != NULL ? &flow->next->previous : &nat->newest) = flow->previous;
}

/* Makes `flow` the newest. */
static void mark_newest(struct kad_nat *nat, struct kad_nat_flow *flow) {
  flow->used = sim_of(nat)->now;
  flow->mapping.used = flow->used;
  flow->next = NULL;
  flow->previous = nat->newest;
  *(nat->newest != NULL ? &nat->newest->next : &nat->oldest) = flow;
  nat->newest = flow;
}

static void end_flow(struct kad_nat *nat, struct kad_nat_flow *flow) {
  unlink_flow(nat, flow);
  kad_map_remove(&nat->flows, &flow->entry);
  unbind_mapping(&flow->mapping);
  kad_release(&sim_of(nat)->base.allocator, flow, sizeof *flow);
}

static void end_old_flows(struct kad_nat *nat) {
  while (nat->oldest != NULL && has_expired(nat, nat->oldest->used)) {
    end_flow(nat, nat->oldest);
  }
}

/* Begins a flow. Returns NULL if out of memory, or if no address is free. */
static struct kad_nat_flow *begin_flow(struct kad_nat *nat, int i,
                                       const struct kad_address *key) {
  const struct kad_allocator *allocator = &sim_of(nat)->base.allocator;
  struct kad_nat_flow *flow = kad_alloc_zero(allocator, sizeof *flow);
  if (flow == NULL) {
    return NULL;
  }
  flow->peer = *key;
  flow->mapping.nat = nat;
  if ((nat->config.kind == KAD_SIM_NAT_KIND_SYMMETRIC &&
       !bind_mapping(nat, i, &flow->mapping)) ||
      kad_map_add(&nat->flows, &flow->entry, hash_peer(key)) < 0) {
    unbind_mapping(&flow->mapping);
    kad_release(allocator, flow, sizeof *flow);
    return NULL;
  }
  mark_newest(nat, flow);
  return flow;
}

static struct kad_nat_flow *flow_to(struct kad_nat *nat, int i,
                                    const struct kad_address *to) {
  const struct kad_address key = key_of(nat, (unsigned)i, to);
  struct kad_nat_flow *flow = find(nat, &key);
  if (flow == NULL) {
    return begin_flow(nat, i, &key);
  }
  unlink_flow(nat, flow);
  mark_newest(nat, flow);
  return flow;
}

const struct kad_address *kad_nat_out(struct kad_nat *nat, int i,
                                      const struct kad_address *to) {
  const struct kad_address own = outer_of(nat, i);
  struct kad_nat_mapping *cone = &nat->cones[i];
  end_old_flows(nat);
  if (kad_address_same_ip(&own, to)) {
    return NULL;
  }
  if (nat->config.kind == KAD_SIM_NAT_KIND_SYMMETRIC) {
    const struct kad_nat_flow *flow = flow_to(nat, i, to);
    return flow != NULL ? &flow->mapping.outer.address : NULL;
  }
  if (has_expired(nat, cone->used)) {
    unbind_mapping(cone);
  }
  if ((!cone->bound && !bind_mapping(nat, i, cone)) ||
      (nat->config.kind != KAD_SIM_NAT_KIND_FULL_CONE &&
       flow_to(nat, i, to) == NULL)) {
    return NULL;
  }
  cone->used = sim_of(nat)->now;
  return &cone->outer.address;
}

/* Returns true if socket `i` has a flow to `from`. */
static bool has_flow_to(const struct kad_nat *nat, unsigned i,
                        const struct kad_address *from) {
  const struct kad_address key = key_of(nat, i, from);
  const struct kad_nat_flow *flow = find(nat, &key);
  return flow != NULL && !has_expired(nat, flow->used);
}

bool kad_nat_admits(const struct kad_sim_socket *socket,
                    const struct kad_address *from) {
  const struct kad_nat_mapping *mapping =
      kad_container_of(socket, struct kad_nat_mapping, outer);
  const struct kad_nat *nat = mapping->nat;
  if (has_expired(nat, mapping->used)) {
    return false;
  }
  switch (nat->config.kind) {
  case KAD_SIM_NAT_KIND_OPEN:
  case KAD_SIM_NAT_KIND_FULL_CONE:
    return true;
  case KAD_SIM_NAT_KIND_RESTRICTED:
  case KAD_SIM_NAT_KIND_PORT_RESTRICTED:
    return has_flow_to(nat, socket->address.via - 1U, from);
  case KAD_SIM_NAT_KIND_SYMMETRIC:
    return kad_address_equal(
        &kad_container_of(mapping, struct kad_nat_flow, mapping)->peer, from);
  }
  return false;
}

static size_t size_for(const struct kad_sim_member *member) {
  return sizeof(struct kad_nat) +
         member->socket_cap * sizeof(struct kad_nat_mapping);
}

static void remove_all(struct kad_nat *nat) {
  while (nat->oldest != NULL) {
    end_flow(nat, nat->oldest);
  }
  for (size_t i = 0; i < nat->member->socket_cap; i++) {
    unbind_mapping(&nat->cones[i]);
  }
}

void kad_nat_unbind(struct kad_sim_member *member) {
  if (member->extra != NULL && member->extra->nat != NULL) {
    remove_all(member->extra->nat);
  } else {
    kad_sim_sockets_hide(member);
  }
  member->base.address_count = 0;
}

void kad_nat_free(struct kad_nat *nat) {
  if (nat != NULL) {
    remove_all(nat);
    kad_map_deinit(&nat->flows);
    kad_release(&sim_of(nat)->base.allocator, nat, size_for(nat->member));
  }
}

static struct kad_nat *new_nat(struct kad_sim_member *member,
                               const struct kad_sim_nat *config) {
  const struct kad_allocator *allocator = &member->base.network->allocator;
  struct kad_nat *made = kad_alloc_zero(allocator, size_for(member));
  if (made == NULL) {
    return NULL;
  }
  const uint32_t idle_s = config->idle_s > 0 ? config->idle_s : IDLE_S_DEFAULT;
  made->member = member;
  made->config = *config;
  made->idle_ms = (kad_time_ms)idle_s * KAD_MS_PER_S;
  kad_map_init(&made->flows, allocator, NULL);
  return made;
}

/* Puts the sockets of `member` back into the table. */
static int show_sockets(struct kad_sim_member *member) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  for (size_t i = 0; i < member->base.address_count; i++) {
    const struct kad_address *address = &member->base.addresses[i];
    const struct kad_sim_socket *there =
        kad_sim_sockets_find(sim, address, kad_sim_sockets_hash(address));
    if (there != NULL && there->member != member) {
      return KAD_EADDRINUSE;
    }
  }
  remove_all(member->extra->nat);
  for (size_t i = 0; i < member->base.address_count; i++) {
    struct kad_sim_socket *socket = &member->sockets[i];
    const int error = kad_map_add(&sim->sockets, &socket->entry,
                                  kad_sim_sockets_hash(&socket->address));
    assert(error == 0); /* it was in the map before, which has buckets */
    (void)error;
  }
  return 0;
}

static int remove_nat(struct kad_sim_member *member) {
  struct kad_sim_extra *extra = member->extra;
  if (extra == NULL || extra->nat == NULL) {
    return 0;
  }
  const int error = show_sockets(member);
  if (error == 0) {
    kad_nat_free(extra->nat);
    extra->nat = NULL;
  }
  return error;
}

static bool is_valid(const struct kad_sim_nat *nat) {
  const uint8_t family = nat->outer.family;
  return nat->idle_s <= IDLE_S_MAX &&
         (family == 0 || family == 4 || family == 6) &&
         (unsigned)nat->kind <= KAD_SIM_NAT_KIND_SYMMETRIC;
}

int kad_sim_set_nat(struct kad_network *network, struct kad_node *node,
                    const struct kad_sim_nat *nat) {
  if (network == NULL || node == NULL || nat == NULL) {
    return KAD_EINVAL;
  }
  struct kad_sim_member *member = kad_sim_member_find(network, node);
  if (member == NULL || !is_valid(nat)) {
    return KAD_EINVAL;
  }
  if (nat->kind == KAD_SIM_NAT_KIND_OPEN) {
    return remove_nat(member);
  }
  struct kad_sim_extra *extra = kad_sim_member_extra(member);
  struct kad_nat *made = extra != NULL ? new_nat(member, nat) : NULL;
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  if (extra->nat == NULL) {
    kad_sim_sockets_hide(member);
  }
  kad_nat_free(extra->nat);
  extra->nat = made;
  return 0;
}

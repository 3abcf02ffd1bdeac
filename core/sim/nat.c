#include "sim/nat.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"

#include <assert.h>
#include <string.h>

enum {
  USUAL_IDLE_S = 60,
  MOST_IDLE_S = 86400
};

static struct kad_sim *sim_of(const struct kad_nat *nat) {
  return kad_sim_of(nat->member->base.network);
}

static bool is_over(const struct kad_nat *nat, kad_time_ms used) {
  return sim_of(nat)->now - used >= nat->idle_ms;
}

/* ------------------------------------------------------------- mappings -- */

static void unbind(struct kad_nat_mapping *mapping) {
  if (mapping->bound) {
    kad_sim_take_out(sim_of(mapping->nat), &mapping->outer);
    mapping->bound = false;
  }
}

/* Returns the address of socket `i` with the NAT's ip. */
static struct kad_address outer_of(const struct kad_nat *nat, int i) {
  struct kad_address outer = nat->member->base.addresses[i];
  if (nat->how.outer.family == outer.family) {
    memcpy(outer.ip, nat->how.outer.ip, sizeof outer.ip);
  }
  return outer;
}

/* Gives socket `i` an outer address. Returns false if there is none left. */
static bool bind(struct kad_nat *nat, int i, struct kad_nat_mapping *mapping) {
  struct kad_sim *sim = sim_of(nat);
  struct kad_address outer = outer_of(nat, i);
  const bool own_port = nat->how.kind != KAD_SIM_NAT_KIND_SYMMETRIC &&
                        kad_sim_find(sim, &outer, kad_sim_hash(&outer)) == NULL;
  if (!own_port && !kad_sim_choose_port(sim, &outer)) {
    return false;
  }
  outer.via = (uint8_t)(i + 1);
  mapping->nat = nat;
  mapping->outer.address = outer;
  mapping->outer.mapped = true;
  mapping->outer.member = nat->member;
  mapping->bound = kad_map_add(&sim->sockets, &mapping->outer.entry,
                               kad_sim_hash(&outer)) == 0;
  return mapping->bound;
}

/* ---------------------------------------------------------------- flows -- */

static uint64_t hash_peer(const struct kad_address *peer) {
  return kad_sim_mix(kad_sim_hash(peer) + peer->via);
}

/* Returns what stands for `peer` in the flows of socket `i`. */
static struct kad_address key_of(const struct kad_nat *nat, unsigned i,
                                 const struct kad_address *peer) {
  struct kad_address key = *peer;
  key.via = (uint8_t)(i + 1);
  if (nat->how.kind == KAD_SIM_NAT_KIND_RESTRICTED) {
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
  *(flow->back != NULL ? &flow->back->next : &nat->oldest) = flow->next;
  *(flow->next != NULL ? &flow->next->back : &nat->newest) = flow->back;
}

/* Makes `flow` the one used last. */
static void use(struct kad_nat *nat, struct kad_nat_flow *flow) {
  flow->used = sim_of(nat)->now;
  flow->mapping.used = flow->used;
  flow->next = NULL;
  flow->back = nat->newest;
  *(nat->newest != NULL ? &nat->newest->next : &nat->oldest) = flow;
  nat->newest = flow;
}

static void end_flow(struct kad_nat *nat, struct kad_nat_flow *flow) {
  unlink_flow(nat, flow);
  kad_map_remove(&nat->flows, &flow->entry);
  unbind(&flow->mapping);
  kad_release(&sim_of(nat)->base.allocator, flow, sizeof *flow);
}

static void end_old_flows(struct kad_nat *nat) {
  while (nat->oldest != NULL && is_over(nat, nat->oldest->used)) {
    end_flow(nat, nat->oldest);
  }
}

/* Begins a flow. NULL when there is no memory, or no address. */
static struct kad_nat_flow *begin_flow(struct kad_nat *nat, int i,
                                       const struct kad_address *key) {
  const struct kad_allocator *allocator = &sim_of(nat)->base.allocator;
  struct kad_nat_flow *flow = kad_alloc_zero(allocator, sizeof *flow);
  if (flow == NULL) {
    return NULL;
  }
  flow->peer = *key;
  flow->mapping.nat = nat;
  if ((nat->how.kind == KAD_SIM_NAT_KIND_SYMMETRIC &&
       !bind(nat, i, &flow->mapping)) ||
      kad_map_add(&nat->flows, &flow->entry, hash_peer(key)) < 0) {
    unbind(&flow->mapping);
    kad_release(allocator, flow, sizeof *flow);
    return NULL;
  }
  use(nat, flow);
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
  use(nat, flow);
  return flow;
}

/* -------------------------------------------------------------- traffic -- */

const struct kad_address *kad_nat_out(struct kad_nat *nat, int i,
                                      const struct kad_address *to) {
  const struct kad_address own = outer_of(nat, i);
  struct kad_nat_mapping *cone = &nat->cones[i];
  end_old_flows(nat);
  if (kad_address_same_host(&own, to)) {
    return NULL;
  }
  if (nat->how.kind == KAD_SIM_NAT_KIND_SYMMETRIC) {
    const struct kad_nat_flow *flow = flow_to(nat, i, to);
    return flow != NULL ? &flow->mapping.outer.address : NULL;
  }
  if (is_over(nat, cone->used)) {
    unbind(cone);
  }
  if ((!cone->bound && !bind(nat, i, cone)) ||
      (nat->how.kind != KAD_SIM_NAT_KIND_FULL_CONE &&
       flow_to(nat, i, to) == NULL)) {
    return NULL;
  }
  cone->used = sim_of(nat)->now;
  return &cone->outer.address;
}

/* Tells whether socket `i` has sent to `from` lately. */
static bool was_sent_to(const struct kad_nat *nat, unsigned i,
                        const struct kad_address *from) {
  const struct kad_address key = key_of(nat, i, from);
  const struct kad_nat_flow *flow = find(nat, &key);
  return flow != NULL && !is_over(nat, flow->used);
}

bool kad_nat_admits(const struct kad_sim_socket *socket,
                    const struct kad_address *from) {
  const struct kad_nat_mapping *mapping =
      kad_container_of(socket, struct kad_nat_mapping, outer);
  const struct kad_nat *nat = mapping->nat;
  if (is_over(nat, mapping->used)) {
    return false;
  }
  switch (nat->how.kind) {
  case KAD_SIM_NAT_KIND_OPEN:
  case KAD_SIM_NAT_KIND_FULL_CONE:
    return true;
  case KAD_SIM_NAT_KIND_RESTRICTED:
  case KAD_SIM_NAT_KIND_PORT_RESTRICTED:
    return was_sent_to(nat, socket->address.via - 1U, from);
  case KAD_SIM_NAT_KIND_SYMMETRIC:
    return kad_address_equal(
        &kad_container_of(mapping, struct kad_nat_flow, mapping)->peer, from);
  }
  return false;
}

/* ------------------------------------------------------------- control -- */

static size_t size_for(const struct kad_sim_member *member) {
  return sizeof(struct kad_nat) +
         member->socket_cap * sizeof(struct kad_nat_mapping);
}

void kad_nat_forget(struct kad_nat *nat) {
  while (nat->oldest != NULL) {
    end_flow(nat, nat->oldest);
  }
  for (size_t i = 0; i < nat->member->socket_cap; i++) {
    unbind(&nat->cones[i]);
  }
}

void kad_nat_free(struct kad_nat *nat) {
  if (nat != NULL) {
    kad_nat_forget(nat);
    kad_map_deinit(&nat->flows);
    kad_release(&sim_of(nat)->base.allocator, nat, size_for(nat->member));
  }
}

static struct kad_nat *make(struct kad_sim_member *member,
                            const struct kad_sim_nat *how) {
  const struct kad_allocator *allocator = &member->base.network->allocator;
  struct kad_nat *made = kad_alloc_zero(allocator, size_for(member));
  if (made == NULL) {
    return NULL;
  }
  const uint32_t idle_s = how->idle_s > 0 ? how->idle_s : USUAL_IDLE_S;
  const uint8_t secret[KAD_MAP_SECRET_SIZE] = {0}; /* its hash is not used */
  made->member = member;
  made->how = *how;
  made->idle_ms = (kad_time_ms)idle_s * KAD_MS_PER_S;
  kad_map_init(&made->flows, allocator, secret);
  return made;
}

/* Opens the sockets of `member` to all again. */
static int show(struct kad_sim_member *member) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  for (size_t i = 0; i < member->base.address_count; i++) {
    const struct kad_address *address = &member->base.addresses[i];
    const struct kad_sim_socket *there =
        kad_sim_find(sim, address, kad_sim_hash(address));
    if (there != NULL && there->member != member) {
      return KAD_EADDRINUSE;
    }
  }
  kad_nat_forget(member->extra->nat);
  for (size_t i = 0; i < member->base.address_count; i++) {
    struct kad_sim_socket *socket = &member->sockets[i];
    const int error = kad_map_add(&sim->sockets, &socket->entry,
                                  kad_sim_hash(&socket->address));
    assert(error == 0); /* there is a bucket array, as it was in it before */
    (void)error;
  }
  return 0;
}

static int open_up(struct kad_sim_member *member) {
  struct kad_sim_extra *extra = member->extra;
  if (extra == NULL || extra->nat == NULL) {
    return 0;
  }
  const int error = show(member);
  if (error == 0) {
    kad_nat_free(extra->nat);
    extra->nat = NULL;
  }
  return error;
}

static bool is_valid(const struct kad_sim_nat *nat) {
  const uint8_t family = nat->outer.family;
  if (nat->idle_s > MOST_IDLE_S ||
      (family != 0 && family != 4 && family != 6)) {
    return false;
  }
  switch (nat->kind) {
  case KAD_SIM_NAT_KIND_OPEN:
  case KAD_SIM_NAT_KIND_FULL_CONE:
  case KAD_SIM_NAT_KIND_RESTRICTED:
  case KAD_SIM_NAT_KIND_PORT_RESTRICTED:
  case KAD_SIM_NAT_KIND_SYMMETRIC:
    return true;
  }
  return false;
}

int kad_sim_set_nat(struct kad_network *network, struct kad_node *node,
                    const struct kad_sim_nat *nat) {
  struct kad_sim_member *member = kad_sim_find_member(network, node);
  if (member == NULL || !is_valid(nat)) {
    return KAD_EINVAL;
  }
  if (nat->kind == KAD_SIM_NAT_KIND_OPEN) {
    return open_up(member);
  }
  struct kad_sim_extra *extra = kad_sim_extra_of(member);
  struct kad_nat *made = extra != NULL ? make(member, nat) : NULL;
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  if (extra->nat == NULL) {
    kad_sim_hide(member);
  }
  kad_nat_free(extra->nat);
  extra->nat = made;
  return 0;
}

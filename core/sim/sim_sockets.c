#include "sim/sim.h"

#include <string.h>

/* No stranger chooses the addresses, so the hash needs no secret. */
uint64_t kad_sim_sockets_hash(const struct kad_address *address) {
  uint64_t halves[2];
  memcpy(halves, address->ip, sizeof halves);
  const uint64_t rest = (uint64_t)address->family << 16 | address->port;
  return kad_sim_mix(kad_sim_mix(halves[0] + rest) + halves[1]);
}

struct kad_sim_socket *kad_sim_sockets_find(const struct kad_sim *sim,
                                            const struct kad_address *address,
                                            uint64_t hash) {
  struct kad_map_entry *entry = kad_map_first(&sim->sockets, hash);
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct kad_sim_socket *socket =
        kad_container_of(entry, struct kad_sim_socket, entry);
    if (kad_address_equal(&socket->address, address)) {
      return socket;
    }
  }
  return NULL;
}

static bool is_free(const struct kad_sim *sim,
                    const struct kad_address *address) {
  return kad_sim_sockets_find(sim, address, kad_sim_sockets_hash(address)) ==
         NULL;
}

bool kad_sim_sockets_choose_port(struct kad_sim *sim,
                                 struct kad_address *address) {
  for (unsigned i = KAD_SIM_SOCKETS_FIRST_PORT; i <= UINT16_MAX; i++) {
    address->port = sim->next_port;
    sim->next_port = sim->next_port < UINT16_MAX
                         ? (uint16_t)(sim->next_port + 1)
                         : KAD_SIM_SOCKETS_FIRST_PORT;
    if (is_free(sim, address)) {
      return true;
    }
  }
  return false;
}

static int bind_address(struct kad_sim *sim, struct kad_sim_member *member,
                        const struct kad_address *listen) {
  const size_t i = member->base.address_count;
  struct kad_sim_socket *socket = &member->sockets[i];
  socket->member = member;
  socket->address = *listen;
  if (listen->port != 0 ? !is_free(sim, listen)
                        : !kad_sim_sockets_choose_port(sim, &socket->address)) {
    return KAD_EADDRINUSE;
  }
  socket->address.via = 0;
  member->base.addresses[i] = socket->address;
  socket->address.via = (uint8_t)(i + 1);
  const int error = kad_map_add(&sim->sockets, &socket->entry,
                                kad_sim_sockets_hash(&socket->address));
  if (error < 0) {
    return error;
  }
  member->base.address_count++;
  return 0;
}

int kad_sim_sockets_bind(struct kad_sim_member *member,
                         const struct kad_address *listen, size_t count) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  for (size_t i = 0; i < count; i++) {
    const int error = bind_address(sim, member, &listen[i]);
    if (error < 0) {
      kad_sim_sockets_hide(member);
      member->base.address_count = 0;
      return error;
    }
  }
  if (member->extra != NULL && member->extra->nat != NULL) {
    kad_sim_sockets_hide(member);
  }
  return 0;
}

void kad_sim_sockets_hide(struct kad_sim_member *member) {
  struct kad_sim *sim = kad_sim_of(member->base.network);
  for (size_t i = 0; i < member->base.address_count; i++) {
    kad_sim_sockets_remove(sim, &member->sockets[i]);
  }
}

void kad_sim_sockets_remove(struct kad_sim *sim,
                            struct kad_sim_socket *socket) {
  kad_map_remove(&sim->sockets, &socket->entry);
  sim->unbound++;
}

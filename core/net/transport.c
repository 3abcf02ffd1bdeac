#include "net/transport.h"

#include "base/allocator.h"

#include <assert.h>
#include <string.h>

/* A datagram that came amid a callback, for the next turn. */
struct parcel {
  struct parcel *next;
  struct kad_address from;
  size_t len;
  uint8_t bytes[];
};

/* A member whose datagrams the user carries. */
struct carrier {
  struct kad_member member;
  struct kad_transport transport;
  struct parcel *first;
  struct parcel **last;
  size_t count;
  kad_timer_id timer; /* delivers them; 0: none wait */
};

static struct carrier *carrier_of(struct kad_member *member) {
  assert(member->carried);
  return kad_container_of(member, struct carrier, member);
}

static void free_parcel(const struct kad_network *network,
                        struct parcel *parcel) {
  kad_release(&network->allocator, parcel, sizeof *parcel + parcel->len);
}

/* Takes all parcels. */
static struct parcel *take_parcels(struct carrier *carrier) {
  struct parcel *taken = carrier->first;
  carrier->first = NULL;
  carrier->last = &carrier->first;
  carrier->count = 0;
  return taken;
}

/* Lets the node receive what has waited. It may be closed meanwhile, but not
 * freed: this is a callback. */
static void deliver(void *data) {
  struct carrier *carrier = data;
  struct kad_member *member = &carrier->member;
  carrier->timer = 0;
  struct parcel *parcel = take_parcels(carrier);
  while (parcel != NULL) {
    struct parcel *next = parcel->next;
    if (!member->leaving) {
      const struct kad_slice bytes = {parcel->bytes, parcel->len};
      kad_member_receive(member, &parcel->from, bytes);
    }
    free_parcel(member->network, parcel);
    parcel = next;
  }
}

/* Keeps a copy of a datagram for the next turn. */
static int keep(struct carrier *carrier, const struct kad_address *from,
                struct kad_slice datagram) {
  struct kad_network *network = carrier->member.network;
  if (carrier->count == KAD_TRANSPORT_WAITING) {
    return KAD_EFULL;
  }
  struct parcel *parcel =
      kad_alloc(&network->allocator, sizeof *parcel + datagram.len);
  if (parcel == NULL) {
    return KAD_ENOMEM;
  }
  *parcel = (struct parcel){.from = *from, .len = datagram.len};
  if (datagram.len > 0) {
    memcpy(parcel->bytes, datagram.data, datagram.len);
  }
  if (carrier->timer == 0 &&
      kad_network_start_timer(network, 0, deliver, carrier, &carrier->timer) !=
          0) {
    free_parcel(network, parcel);
    return KAD_ENOMEM;
  }
  *carrier->last = parcel;
  carrier->last = &parcel->next;
  carrier->count++;
  return 0;
}

int kad_transport_open(struct kad_network *network,
                       const struct kad_transport *transport,
                       const struct kad_address *addresses, size_t count,
                       struct kad_member **member) {
  struct carrier *opened = kad_alloc_zero(&network->allocator, sizeof *opened);
  if (opened == NULL) {
    return KAD_ENOMEM;
  }
  opened->transport = *transport;
  opened->last = &opened->first;
  opened->member.network = network;
  opened->member.carried = true;
  opened->member.address_count = count;
  memcpy(opened->member.addresses, addresses, count * sizeof *addresses);
  *member = &opened->member;
  return 0;
}

void kad_transport_unbind(struct kad_member *member) {
  struct carrier *carrier = carrier_of(member);
  if (carrier->timer != 0) {
    (void)kad_network_stop_timer(member->network, carrier->timer);
    carrier->timer = 0;
  }
  struct parcel *parcel = take_parcels(carrier);
  while (parcel != NULL) {
    struct parcel *next = parcel->next;
    free_parcel(member->network, parcel);
    parcel = next;
  }
}

void kad_transport_release(struct kad_member *member) {
  struct carrier *carrier = carrier_of(member);
  const struct kad_transport transport = carrier->transport;
  const bool was_open = member->node != NULL;
  kad_release(&member->network->allocator, carrier, sizeof *carrier);
  if (was_open && transport.release != NULL) {
    transport.release(transport.state);
  }
}

void kad_transport_random(void *state, uint8_t *out, size_t len) {
  const struct kad_member *member = state;
  kad_network_random(member->network, out, len);
}

/* What the transport gives to other nodes has to wait until this one is out of
 * its engine, and so has its end. */
void kad_transport_send(void *state, const struct kad_address *to,
                        struct kad_slice datagram) {
  struct kad_member *member = state;
  const struct kad_transport *transport = &carrier_of(member)->transport;
  if (!member->leaving && kad_member_way(member, to) >= 0) {
    member->network->depth++;
    transport->send(transport->state, to, datagram);
    member->network->depth--;
  }
}

int kad_network_receive(struct kad_network *network, struct kad_node *node,
                        const struct kad_address *from,
                        struct kad_slice datagram) {
  struct kad_member *member = kad_network_find_member(network, node);
  if (member == NULL || !member->carried || from->port == 0 ||
      (from->family != 4 && from->family != 6)) {
    return KAD_EINVAL;
  }
  if (datagram.len > KAD_NETWORK_DATAGRAM_MAX) {
    return KAD_ETOOBIG;
  }
  if (network->depth > 0) {
    return keep(carrier_of(member), from, datagram);
  }
  (void)kad_network_now(network); /* it may be long since the last turn */
  kad_member_receive(member, from, datagram);
  return 0;
}

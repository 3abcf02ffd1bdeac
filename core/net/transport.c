/* Nodes without sockets, whose datagrams a transport of the user carries. */
#include "base/allocator.h"
#include "net/network.h"

#include <string.h>

enum {
  QUEUE_MAX = 256 /* datagrams of a node that wait to be delivered */
};

/* A datagram that arrived during a callback: delivered in the next turn. */
struct queued_datagram {
  struct queued_datagram *next;
  struct kad_address from;
  size_t len;
  uint8_t bytes[];
};

/* A member on a transport. */
struct transport_member {
  struct kad_member base;
  struct kad_transport transport;
  struct queued_datagram *first;
  struct queued_datagram **last;
  size_t count;
  kad_timer_id timer; /* delivers the queue; 0: it is empty */
};

static struct transport_member *member_of(struct kad_member *base) {
  return kad_container_of(base, struct transport_member, base);
}

static void free_datagram(const struct kad_network *network,
                          struct queued_datagram *datagram) {
  kad_release(&network->allocator, datagram, sizeof *datagram + datagram->len);
}

/* Empties the queue. Delivers its datagrams, unless the node is closed. */
static void empty_queue(struct transport_member *member) {
  struct kad_member *base = &member->base;
  struct queued_datagram *datagram = member->first;
  member->first = NULL;
  member->last = &member->first;
  member->count = 0;
  while (datagram != NULL) {
    struct queued_datagram *next = datagram->next;
    if (!base->leaving) {
      const struct kad_slice bytes = {datagram->bytes, datagram->len};
      kad_network_deliver(base, &datagram->from, bytes);
    }
    free_datagram(base->network, datagram);
    datagram = next;
  }
}

/* Delivers the queue. A datagram may close the node, but this is a callback, so
 * it is not freed before the end. */
static void on_queue_timer(void *data) {
  struct transport_member *member = data;
  member->timer = 0;
  empty_queue(member);
}

/* Adds a copy of a datagram to the queue. */
static int queue_datagram(struct transport_member *member,
                          const struct kad_address *from,
                          struct kad_slice bytes) {
  struct kad_network *network = member->base.network;
  if (member->count == QUEUE_MAX) {
    return KAD_EFULL;
  }
  struct queued_datagram *datagram =
      kad_alloc(&network->allocator, sizeof *datagram + bytes.len);
  if (datagram == NULL) {
    return KAD_ENOMEM;
  }
  *datagram = (struct queued_datagram){.from = *from, .len = bytes.len};
  if (bytes.len > 0) {
    memcpy(datagram->bytes, bytes.data, bytes.len);
  }
  if (member->timer == 0 &&
      kad_network_start_timer(network, 0, on_queue_timer, member,
                              &member->timer) != 0) {
    free_datagram(network, datagram);
    return KAD_ENOMEM;
  }
  *member->last = datagram;
  member->last = &datagram->next;
  member->count++;
  return 0;
}

static void transport_unbind(struct kad_member *base) {
  struct transport_member *member = member_of(base);
  if (member->timer != 0) {
    (void)kad_network_stop_timer(base->network, member->timer);
    member->timer = 0;
  }
  empty_queue(member);
}

/* A transport whose node was not opened stays the caller's. */
static void transport_release(struct kad_member *base) {
  struct transport_member *member = member_of(base);
  const struct kad_transport transport = member->transport;
  const bool was_open = base->node != NULL;
  kad_release(&base->network->allocator, member, sizeof *member);
  if (was_open && transport.release != NULL) {
    transport.release(transport.state);
  }
}

static void transport_random(void *state, uint8_t *out, size_t len) {
  const struct kad_member *base = state;
  kad_network_random(base->network, out, len);
}

/* Raises `depth` so that datagrams passed to other nodes are queued, and a
 * close of this node waits, until its engine has returned. */
static void transport_send(void *state, const struct kad_address *to,
                           struct kad_slice datagram) {
  struct kad_member *base = state;
  const struct kad_transport *transport = &member_of(base)->transport;
  if (!base->leaving && kad_member_source(base, to) >= 0) {
    base->network->depth++;
    transport->send(transport->state, to, datagram);
    base->network->depth--;
  }
}

static const struct kad_member_methods methods = {
    .unbind = transport_unbind,
    .release = transport_release,
    .random = transport_random,
    .send = transport_send,
};

static bool have_ports(const struct kad_address *addresses, size_t count) {
  bool have = true;
  for (size_t i = 0; i < count; i++) {
    have = have && addresses[i].port != 0;
  }
  return have;
}

/* NOLINTNEXTLINE(readability-function-size): as the public header has it. */
int kad_network_open_on_transport(struct kad_network *network,
                                  const struct kad_config *config,
                                  const struct kad_address *addresses,
                                  size_t count,
                                  const struct kad_transport *transport,
                                  struct kad_node **node) {
  if (network == NULL || config == NULL || addresses == NULL || node == NULL) {
    return KAD_EINVAL;
  }
  if (!kad_network_takes_addresses(addresses, count) ||
      !have_ports(addresses, count) || transport == NULL ||
      transport->send == NULL) {
    return KAD_EINVAL;
  }
  if (network->freeing) {
    return KAD_ECLOSED;
  }
  struct transport_member *opened =
      kad_alloc_zero(&network->allocator, sizeof *opened);
  if (opened == NULL) {
    return KAD_ENOMEM;
  }
  opened->transport = *transport;
  opened->last = &opened->first;
  opened->base.methods = &methods;
  opened->base.network = network;
  opened->base.address_count = count;
  memcpy(opened->base.addresses, addresses, count * sizeof *addresses);
  return kad_network_add_member(network, &opened->base, config, node);
}

int kad_network_receive(struct kad_network *network, struct kad_node *node,
                        const struct kad_address *from,
                        struct kad_slice datagram) {
  if (network == NULL || node == NULL || from == NULL) {
    return KAD_EINVAL;
  }
  struct kad_member *base = kad_network_find_member(network, node);
  if (base == NULL || base->methods != &methods || from->port == 0 ||
      (from->family != 4 && from->family != 6)) {
    return KAD_EINVAL;
  }
  if (datagram.len > kad_datagram_longest(base->node)) {
    return KAD_ETOOBIG;
  }
  if (network->depth > 0) {
    return queue_datagram(member_of(base), from, datagram);
  }
  (void)kad_network_now(network); /* much time may have passed since the turn */
  kad_network_deliver(base, from, datagram);
  return 0;
}

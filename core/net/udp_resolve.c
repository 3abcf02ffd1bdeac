/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "net/udp.h"

struct kad_udp_name {
  uv_getaddrinfo_t request;
  struct kad_udp *udp;
  struct kad_udp_name *next;
  struct kad_udp_name *back;
  uint16_t port;
  kad_resolved_fn found;
  void *data;
};

static void forget(struct kad_udp_name *name) {
  struct kad_udp *udp = name->udp;
  if (name->next != NULL) {
    name->next->back = name->back;
  }
  if (name->back != NULL) {
    name->back->next = name->next;
  } else {
    udp->names = name->next;
  }
  kad_release(&udp->base.allocator, name, sizeof *name);
}

static bool has(const struct kad_address *addresses, size_t count,
                const struct kad_address *address) {
  for (size_t i = 0; i < count; i++) {
    if (kad_address_equal(&addresses[i], address)) {
      return true;
    }
  }
  return false;
}

/* Copies the addresses, each once, and returns how many there are. */
static size_t collect(const struct addrinfo *info, uint16_t port,
                      struct kad_address addresses[KAD_RESOLVE_MAX]) {
  size_t count = 0;
  for (; info != NULL && count < KAD_RESOLVE_MAX; info = info->ai_next) {
    struct kad_address address;
    kad_udp_address_from_system(info->ai_addr, &address);
    address.port = port;
    if (address.family != 0 && !has(addresses, count, &address)) {
      addresses[count++] = address;
    }
  }
  return count;
}

static void on_name(uv_getaddrinfo_t *request, int error,
                    struct addrinfo *info) {
  struct kad_udp_name *name = request->data;
  const struct kad_udp_name told = *name;
  struct kad_network *network = &told.udp->base;
  struct kad_address addresses[KAD_RESOLVE_MAX];
  const size_t count = error < 0 ? 0 : collect(info, told.port, addresses);
  uv_freeaddrinfo(info);
  forget(name);
  if (network->freeing) {
    return;
  }
  kad_network_enter(network);
  told.found(told.data, count > 0 ? 0 : KAD_ERESOLVE, addresses, count);
  kad_network_leave(network);
}

int kad_udp_resolve(struct kad_network *network, const char *host,
                    uint16_t port, kad_resolved_fn found, void *data) {
  struct kad_udp *udp = kad_udp_of(network);
  struct kad_udp_name *name = kad_alloc_zero(&network->allocator, sizeof *name);
  if (name == NULL) {
    return KAD_ENOMEM;
  }
  name->request.data = name;
  name->udp = udp;
  name->port = port;
  name->found = found;
  name->data = data;
  const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
  const int error =
      uv_getaddrinfo(&udp->loop, &name->request, on_name, host, NULL, &hints);
  if (error < 0) {
    kad_release(&network->allocator, name, sizeof *name);
    return error == UV_ENOMEM ? KAD_ENOMEM : KAD_ERESOLVE;
  }
  name->next = udp->names;
  if (name->next != NULL) {
    name->next->back = name;
  }
  udp->names = name;
  return 0;
}

void kad_udp_cancel_names(struct kad_udp *udp) {
  for (struct kad_udp_name *name = udp->names; name; name = name->next) {
    (void)uv_cancel((uv_req_t *)&name->request);
  }
}

/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/address.h"
#include "base/allocator.h"
#include "net/udp.h"

/* A name that is being looked up. */
struct kad_udp_name {
  uv_getaddrinfo_t request;
  struct kad_udp *udp;
  struct kad_udp_name *next;
  uint16_t port;
  kad_resolved_fn resolved;
  void *data;
};

static void free_name(struct kad_udp_name *name) {
  struct kad_udp *udp = name->udp;
  struct kad_udp_name **link = &udp->names;
  while (*link != name) {
    link = &(*link)->next;
  }
  *link = name->next;
  kad_release(&udp->base.allocator, name, sizeof *name);
}

/* Copies the distinct addresses, and returns their number. */
static size_t copy_addresses(const struct addrinfo *info, uint16_t port,
                             struct kad_address addresses[KAD_RESOLVE_MAX]) {
  size_t count = 0;
  for (; info != NULL && count < KAD_RESOLVE_MAX; info = info->ai_next) {
    struct kad_address address;
    kad_udp_address_from_system(info->ai_addr, &address);
    address.port = port;
    if (address.family != 0 &&
        !kad_address_is_among(addresses, count, &address)) {
      addresses[count++] = address;
    }
  }
  return count;
}

static void on_name(uv_getaddrinfo_t *request, int error,
                    struct addrinfo *info) {
  struct kad_udp_name *name = request->data;
  const struct kad_udp_name copy = *name;
  struct kad_network *network = &copy.udp->base;
  struct kad_address addresses[KAD_RESOLVE_MAX];
  const size_t count =
      error < 0 ? 0 : copy_addresses(info, copy.port, addresses);
  uv_freeaddrinfo(info);
  free_name(name);
  if (network->freeing) {
    return;
  }
  kad_network_enter(network);
  copy.resolved(copy.data, count > 0 ? 0 : KAD_ERESOLVE, addresses, count);
  kad_network_leave(network);
}

int kad_udp_resolve(struct kad_network *network, const char *host,
                    uint16_t port, kad_resolved_fn resolved, void *data) {
  struct kad_udp *udp = kad_udp_of(network);
  struct kad_udp_name *name = kad_alloc_zero(&network->allocator, sizeof *name);
  if (name == NULL) {
    return KAD_ENOMEM;
  }
  name->request.data = name;
  name->udp = udp;
  name->port = port;
  name->resolved = resolved;
  name->data = data;
  const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
  const int error =
      uv_getaddrinfo(&udp->loop, &name->request, on_name, host, NULL, &hints);
  if (error < 0) {
    kad_release(&network->allocator, name, sizeof *name);
    return error == UV_ENOMEM ? KAD_ENOMEM : KAD_ERESOLVE;
  }
  name->next = udp->names;
  udp->names = name;
  return 0;
}

void kad_udp_resolve_cancel(struct kad_udp *udp) {
  for (struct kad_udp_name *name = udp->names; name; name = name->next) {
    (void)uv_cancel((uv_req_t *)&name->request);
  }
}

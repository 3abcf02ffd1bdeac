/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "net/udp.h"

#include <assert.h>

static struct kad_udp_member *member_of(const struct kad_member *base) {
  return kad_container_of(base, struct kad_udp_member, base);
}

static void free_if_done(struct kad_udp_member *member) {
  if (member->released && member->open_sockets == 0) {
    kad_release(&member->base.network->allocator, member, member->size);
  }
}

static void on_closed(uv_handle_t *handle) {
  const struct kad_udp_socket *socket = handle->data;
  struct kad_udp_member *member = socket->member;
  member->open_sockets--;
  free_if_done(member);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  const struct kad_udp *udp = handle->loop->data;
  *buffer = uv_buf_init((char *)udp->incoming, (unsigned)udp->incoming_size);
}

/* Errors are a neighbour's refusal of what we sent (ICMP); its silence tells
 * the engine as much. The end of a batch has no address: the replies to it go
 * out while they are still in the processor's cache. */
static void on_datagram(uv_udp_t *handle, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *address, unsigned flags) {
  if ((flags & UV_UDP_MMSG_FREE) != 0) {
    struct kad_udp *udp = handle->loop->data;
    kad_outgoing_flush(&udp->outgoing);
  }
  if (len < 0 || address == NULL) {
    return;
  }
  const struct kad_udp_socket *socket = handle->data;
  struct kad_address from;
  kad_udp_address_from_system(address, &from);
  from.via = socket->via;
  const struct kad_slice datagram = {
      .data = (const uint8_t *)buffer->base,
      .len = (size_t)len,
  };
  kad_member_receive(&socket->member->base, &from, datagram);
}

/* The room is for a whole batch where batches are received, and most of it is
 * never touched. */
static int make_room(struct kad_udp *udp, const uv_udp_t *handle) {
  if (udp->incoming != NULL) {
    return 0;
  }
  size_t chunks = uv_udp_using_recvmmsg(handle) ? KAD_INCOMING_MAX : 1;
  udp->incoming = kad_alloc(&udp->base.allocator, chunks * KAD_INCOMING_CHUNK);
  if (udp->incoming == NULL) {
    return KAD_ENOMEM;
  }
  udp->incoming_size = chunks * KAD_INCOMING_CHUNK;
  return 0;
}

/* The system may give less than we ask for, which is no error. */
static void widen_buffers(uv_udp_t *handle) {
  int size = KAD_RECEIVE_BUFFER;
  (void)uv_recv_buffer_size((uv_handle_t *)handle, &size);
  size = KAD_SEND_BUFFER;
  (void)uv_send_buffer_size((uv_handle_t *)handle, &size);
}

static int bind_socket(uv_udp_t *handle, const struct kad_address *listen,
                       struct kad_address *bound) {
  union kad_socket_address address;
  kad_udp_address_to_system(listen, &address);
  const unsigned flags = listen->family == 6 ? UV_UDP_IPV6ONLY : 0;
  int error = uv_udp_bind(handle, &address.any, flags);
  if (error < 0) {
    return error;
  }
  widen_buffers(handle);
  int len = sizeof address;
  error = uv_udp_getsockname(handle, &address.any, &len);
  if (error < 0) {
    return error;
  }
  kad_udp_address_from_system(&address.any, bound);
  return uv_udp_recv_start(handle, on_room, on_datagram);
}

static int open_socket(struct kad_udp *udp, struct kad_udp_member *member,
                       const struct kad_address *listen) {
  const size_t i = member->base.address_count;
  struct kad_udp_socket *socket = &member->sockets[i];
  const unsigned family = listen->family == 6 ? AF_INET6 : AF_INET;
  int error =
      uv_udp_init_ex(&udp->loop, &socket->handle, family | UV_UDP_RECVMMSG);
  if (error < 0) {
    return kad_udp_error(error);
  }
  socket->handle.data = socket;
  socket->member = member;
  socket->via = (uint8_t)(i + 1);
  member->base.address_count++;
  member->open_sockets++;
  error = make_room(udp, &socket->handle);
  if (error < 0) {
    return error;
  }
  return kad_udp_error(
      bind_socket(&socket->handle, listen, &member->base.addresses[i]));
}

int kad_udp_open(struct kad_network *network, const struct kad_address *listen,
                 size_t count, struct kad_member **member) {
  struct kad_udp *udp = kad_udp_of(network);
  const size_t size =
      sizeof(struct kad_udp_member) + count * sizeof(struct kad_udp_socket);
  struct kad_udp_member *opened = kad_alloc_zero(&network->allocator, size);
  if (opened == NULL) {
    return KAD_ENOMEM;
  }
  opened->base.network = network;
  opened->size = size;
  for (size_t i = 0; i < count; i++) {
    const int error = open_socket(udp, opened, &listen[i]);
    if (error < 0) {
      kad_udp_unbind(&opened->base);
      kad_udp_release(&opened->base);
      return error;
    }
  }
  *member = &opened->base;
  return 0;
}

void kad_udp_unbind(struct kad_member *member) {
  struct kad_udp_member *unbound = member_of(member);
  kad_outgoing_flush(&kad_udp_of(member->network)->outgoing);
  for (size_t i = 0; i < member->address_count; i++) {
    uv_udp_t *handle = &unbound->sockets[i].handle;
    (void)uv_udp_recv_stop(handle);
    uv_close((uv_handle_t *)handle, on_closed);
  }
}

void kad_udp_release(struct kad_member *member) {
  struct kad_udp_member *released = member_of(member);
  assert(!released->released);
  released->released = true;
  free_if_done(released);
}

void kad_udp_send(void *state, const struct kad_address *to,
                  struct kad_slice datagram) {
  struct kad_udp_member *member = state;
  const int i = kad_member_way(&member->base, to);
  if (i < 0 || member->base.leaving ||
      datagram.len > KAD_NETWORK_DATAGRAM_MAX) {
    return;
  }
  kad_outgoing_add(&kad_udp_of(member->base.network)->outgoing,
                   &member->sockets[i].handle, to, datagram);
}

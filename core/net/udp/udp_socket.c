/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "base/allocator.h"
#include "net/udp/udp.h"

#include <assert.h>

enum {
  CHUNK_SIZE = 64 * 1024,      /* bytes that libuv wants for a datagram */
  CHUNKS_MAX = 20,             /* datagrams that libuv receives together */
  SEND_BUFFER = 1024 * 1024,   /* bytes that we ask the system to queue */
  RECEIVE_BUFFER = 4096 * 1024 /* the same, for arrivals while a script runs */
};

/* A socket of a member. */
struct udp_socket {
  uv_udp_t handle;
  struct udp_member *member;
  uint8_t via; /* its index + 1 */
};

/* A node with its sockets. */
struct udp_member {
  struct kad_member base;
  size_t size;         /* bytes of this block */
  size_t open_sockets; /* that the loop has not closed yet */
  bool released;       /* free it with its last socket */
  struct udp_socket sockets[];
};

static struct udp_member *member_of(const struct kad_member *base) {
  return kad_container_of(base, struct udp_member, base);
}

static void free_if_done(struct udp_member *member) {
  if (member->released && member->open_sockets == 0) {
    kad_release(&member->base.network->allocator, member, member->size);
  }
}

static void on_closed(uv_handle_t *handle) {
  const struct udp_socket *socket = handle->data;
  struct udp_member *member = socket->member;
  member->open_sockets--;
  free_if_done(member);
}

static void on_allocate(uv_handle_t *handle, size_t suggested,
                        uv_buf_t *buffer) {
  (void)suggested;
  const struct kad_udp *udp = handle->loop->data;
  *buffer = uv_buf_init((char *)udp->incoming, (unsigned)udp->incoming_size);
}

/* An error means that another host refused a datagram of ours (ICMP): ignore
 * it, because the query will time out. The end of a batch has no address: send
 * the replies to the batch while they are in the processor's cache. */
static void on_datagram(uv_udp_t *handle, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *address, unsigned flags) {
  if ((flags & UV_UDP_MMSG_FREE) != 0) {
    struct kad_udp *udp = handle->loop->data;
    kad_udp_outgoing_flush(&udp->outgoing);
  }
  if (len < 0 || address == NULL) {
    return;
  }
  const struct udp_socket *socket = handle->data;
  struct kad_address from;
  kad_udp_address_from_system(address, &from);
  from.via = socket->via;
  const struct kad_slice datagram = {
      .data = (const uint8_t *)buffer->base,
      .len = (size_t)len,
  };
  kad_network_deliver(&socket->member->base, &from, datagram);
}

/* Allocates the buffer for incoming datagrams: for a whole batch, if the system
 * receives batches. Most of it is never dirty. */
static int allocate_buffer(struct kad_udp *udp, const uv_udp_t *handle) {
  if (udp->incoming != NULL) {
    return 0;
  }
  size_t chunks = uv_udp_using_recvmmsg(handle) ? CHUNKS_MAX : 1;
  udp->incoming = kad_alloc(&udp->base.allocator, chunks * CHUNK_SIZE);
  if (udp->incoming == NULL) {
    return KAD_ENOMEM;
  }
  udp->incoming_size = chunks * CHUNK_SIZE;
  return 0;
}

/* The system may give less than we ask for. That is not an error. */
static void widen_buffers(uv_udp_t *handle) {
  int size = RECEIVE_BUFFER;
  (void)uv_recv_buffer_size((uv_handle_t *)handle, &size);
  size = SEND_BUFFER;
  (void)uv_send_buffer_size((uv_handle_t *)handle, &size);
}

/* Notes the system call that failed, and returns the KAD_E… code of libuv's
 * `error`, which is a negative errno. */
static int note_failure(struct kad_network *network, const char *call,
                        int error, const struct kad_address *address) {
  network->failure = (struct kad_system_failure){
      .call = call,
      .number = -error,
      .address = *address,
  };
  return kad_udp_error(error);
}

/* Returns 0 or a KAD_E… code. */
static int bind_socket(struct kad_network *network, uv_udp_t *handle,
                       const struct kad_address *listen,
                       struct kad_address *bound) {
  union kad_socket_address address;
  kad_udp_address_to_system(listen, &address);
  const unsigned flags = listen->family == 6 ? UV_UDP_IPV6ONLY : 0;
  int error = uv_udp_bind(handle, &address.any, flags);
  if (error < 0) {
    return note_failure(network, "bind", error, listen);
  }
  widen_buffers(handle);
  int len = sizeof address;
  error = uv_udp_getsockname(handle, &address.any, &len);
  if (error < 0) {
    return note_failure(network, "getsockname", error, listen);
  }
  kad_udp_address_from_system(&address.any, bound);
  error = uv_udp_recv_start(handle, on_allocate, on_datagram);
  return error < 0 ? note_failure(network, "epoll", error, listen) : 0;
}

static int open_socket(struct kad_udp *udp, struct udp_member *member,
                       const struct kad_address *listen) {
  const size_t i = member->base.address_count;
  struct udp_socket *socket = &member->sockets[i];
  const unsigned family = listen->family == 6 ? AF_INET6 : AF_INET;
  int error =
      uv_udp_init_ex(&udp->loop, &socket->handle, family | UV_UDP_RECVMMSG);
  if (error < 0) {
    return note_failure(&udp->base, "socket", error, listen);
  }
  socket->handle.data = socket;
  socket->member = member;
  socket->via = (uint8_t)(i + 1);
  member->base.address_count++;
  member->open_sockets++;
  error = allocate_buffer(udp, &socket->handle);
  if (error < 0) {
    return error;
  }
  return bind_socket(&udp->base, &socket->handle, listen,
                     &member->base.addresses[i]);
}

static void udp_unbind(struct kad_member *member) {
  struct udp_member *unbound = member_of(member);
  kad_udp_outgoing_flush(&kad_udp_of(member->network)->outgoing);
  for (size_t i = 0; i < member->address_count; i++) {
    uv_udp_t *handle = &unbound->sockets[i].handle;
    (void)uv_udp_recv_stop(handle);
    uv_close((uv_handle_t *)handle, on_closed);
  }
}

static void udp_release(struct kad_member *member) {
  struct udp_member *released = member_of(member);
  assert(!released->released);
  released->released = true;
  free_if_done(released);
}

static void udp_send(void *state, const struct kad_address *to,
                     struct kad_slice datagram) {
  struct udp_member *member = state;
  const int i = kad_member_source(&member->base, to);
  if (i < 0 || member->base.leaving ||
      datagram.len > KAD_NETWORK_DATAGRAM_MAX) {
    return;
  }
  kad_udp_outgoing_add(&kad_udp_of(member->base.network)->outgoing,
                       &member->sockets[i].handle, to, datagram);
}

static void udp_random(void *state, uint8_t *out, size_t len) {
  const struct kad_member *member = state;
  kad_random_fill(&kad_udp_of(member->network)->random, out, len);
}

static const struct kad_member_methods member_methods = {
    .unbind = udp_unbind,
    .release = udp_release,
    .random = udp_random,
    .send = udp_send,
};

int kad_udp_socket_open(struct kad_network *network,
                        const struct kad_address *listen, size_t count,
                        struct kad_member **member) {
  struct kad_udp *udp = kad_udp_of(network);
  const size_t size =
      sizeof(struct udp_member) + count * sizeof(struct udp_socket);
  struct udp_member *opened = kad_alloc_zero(&network->allocator, size);
  if (opened == NULL) {
    return KAD_ENOMEM;
  }
  opened->base.methods = &member_methods;
  opened->base.network = network;
  opened->size = size;
  for (size_t i = 0; i < count; i++) {
    const int error = open_socket(udp, opened, &listen[i]);
    if (error < 0) {
      udp_unbind(&opened->base);
      udp_release(&opened->base);
      return error;
    }
  }
  *member = &opened->base;
  return 0;
}

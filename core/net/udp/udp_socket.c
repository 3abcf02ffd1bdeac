/* uv.h needs more of the system than C11 shows. */
#define _GNU_SOURCE

#include "net/udp/udp_socket.h"

#include "base/address.h"
#include "base/allocator.h"
#include "kadenza_inherited.h"
#include "net/udp/udp.h"
#include "net/udp/udp_failure.h"
#include "net/udp/udp_interface.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
  SEND_BUFFER = 1024 * 1024,   /* bytes that we ask the system to queue */
  RECEIVE_BUFFER = 4096 * 1024 /* the same, for arrivals while a script runs */
};

static void free_if_done(struct kad_udp_member *member) {
  if (member->released && member->open_sockets == 0) {
    const struct kad_allocator *allocator = &member->base.network->allocator;
    kad_udp_sources_deinit(&member->sources, allocator);
    kad_release(allocator, member, member->size);
  }
}

static void on_closed(uv_handle_t *handle) {
  const struct kad_udp_socket *socket = handle->data;
  struct kad_udp_member *member = socket->member;
  member->open_sockets--;
  free_if_done(member);
}

/* Returns the `via` of datagrams that arrive at `local` on `socket`. */
static uint8_t find_via(struct kad_udp_socket *socket,
                        struct kad_udp_source *local) {
  struct kad_udp_member *member = socket->member;
  local->socket = socket->index;
  const int entry =
      local->has_ip || local->interface != 0
          ? kad_udp_sources_find(&member->sources,
                                 &member->base.network->allocator, local)
          : -1;
  return entry < 0 ? (uint8_t)(socket->index + 1U)
                   : (uint8_t)(member->base.address_count + 1 + (size_t)entry);
}

/* A hook of a datagram may close the node. */
static void deliver_batch(struct kad_udp_socket *socket, size_t count) {
  const struct kad_member *base = &socket->member->base;
  const struct kad_incoming *incoming = kad_udp_of(base->network)->incoming;
  for (size_t i = 0; i < count && !base->leaving; i++) {
    struct kad_incoming_datagram datagram;
    kad_incoming_at(incoming, i, &datagram);
    if (datagram.from.family != 0) {
      datagram.from.via = find_via(socket, &datagram.local);
      kad_network_deliver(&socket->member->base, &datagram.from,
                          datagram.bytes);
    }
  }
}

/* Has libuv watch the socket. It stops at an error of the socket, which another
 * program or the system may cause: reading the error clears it. */
static int watch_socket(struct kad_udp_socket *socket, uv_poll_cb on_readable) {
  int error = 0;
  socklen_t len = sizeof error;
  (void)getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &len);
  return uv_poll_start(&socket->poll, UV_READABLE, on_readable);
}

/* Sends the replies to a batch while they are in the processor's cache. No
 * error ends the receiving: it is counted, and the next batch is received when
 * the socket is readable again. */
static void on_readable(uv_poll_t *poll, int status, int events) {
  struct kad_udp_socket *socket = poll->data;
  struct kad_udp *udp = kad_udp_of(socket->member->base.network);
  (void)events;
  if (status < 0) {
    socket->member->stats.receive_errors++;
    (void)watch_socket(socket, on_readable);
  }
  kad_udp_begin_turn(udp);
  kad_incoming_grow(&udp->incoming, &udp->base.allocator,
                    kad_datagram_longest(socket->member->base.node));
  const int count = kad_incoming_receive(udp->incoming, socket->fd);
  if (count < 0) {
    socket->member->stats.receive_errors +=
        errno != EAGAIN && errno != EWOULDBLOCK;
    return;
  }
  deliver_batch(socket, (size_t)count);
  kad_outgoing_flush(udp->outgoing);
}

/* The system may give less than we ask for. That is not an error. */
static void widen_buffers(int fd) {
  int size = RECEIVE_BUFFER;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  size = SEND_BUFFER;
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
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

/* Binds `fd` and sets `*bound` to its address. Returns 0 or a KAD_E… code. */
static int bind_socket(struct kad_network *network, int fd,
                       const struct kad_address *listen,
                       struct kad_address *bound) {
  union kad_socket_address address;
  kad_udp_address_to_system(listen, &address);
  socklen_t len = sizeof address.ip4;
  if (listen->family == 6) {
    const int on = 1;
    len = sizeof address.ip6;
    address.ip6.sin6_scope_id = kad_udp_interface_of(listen);
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
      return note_failure(network, "setsockopt", -errno, listen);
    }
  }
  if (bind(fd, &address.any, len) != 0) {
    /* EINVAL: a link-local address that no interface has, and so no scope */
    const bool is_absent = errno == EINVAL && kad_udp_is_link_local(listen);
    return note_failure(network, "bind", is_absent ? -EADDRNOTAVAIL : -errno,
                        listen);
  }
  len = sizeof address;
  if (getsockname(fd, &address.any, &len) != 0) {
    return note_failure(network, "getsockname", -errno, listen);
  }
  kad_udp_address_from_system(&address.any, bound);
  return 0;
}

static bool is_wildcard(const struct kad_address *address) {
  const struct kad_address any = {.family = address->family};
  return kad_address_same_ip(address, &any);
}

/* Makes a socket bound to `listen`, and sets `*bound` to its address. Returns
 * it, or a KAD_E… code. */
static int make_socket(struct kad_network *network,
                       const struct kad_address *listen,
                       struct kad_address *bound) {
  const int family = listen->family == 6 ? AF_INET6 : AF_INET;
  const int fd = socket(family, SOCK_DGRAM, 0);
  if (fd < 0) {
    return note_failure(network, "socket", -errno, listen);
  }
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  const int error = bind_socket(network, fd, listen, bound);
  if (error < 0) {
    (void)close(fd);
    return error;
  }
  return fd;
}

/* Has the loop watch a socket that is bound to `bound`, as the member's next
 * one. If that fails, the socket stays open. Returns 0 or a KAD_E… code. */
static int add_socket(struct kad_udp *udp, struct kad_udp_member *member,
                      int fd, const struct kad_address *bound) {
  const size_t i = member->base.address_count;
  struct kad_udp_socket *const added = &member->sockets[i];
  widen_buffers(fd);
  int error = uv_poll_init(&udp->loop, &added->poll, fd);
  if (error < 0) {
    return note_failure(&udp->base, "epoll", error, bound);
  }
  added->poll.data = added;
  added->fd = fd;
  added->member = member;
  added->index = (uint8_t)i;
  member->base.addresses[i] = *bound;
  member->base.address_count++;
  member->open_sockets++;
  added->is_loopback = kad_udp_address_is_loopback(bound);
  added->is_wildcard = is_wildcard(bound);
  if (added->is_wildcard) {
    (void)kad_incoming_want_local(fd, bound->family);
  }
  error = watch_socket(added, on_readable);
  return error < 0 ? note_failure(&udp->base, "epoll", error, bound) : 0;
}

static int open_socket(struct kad_udp *udp, struct kad_udp_member *member,
                       const struct kad_address *listen) {
  const size_t before = member->open_sockets;
  struct kad_address bound = {0};
  const int fd = make_socket(&udp->base, listen, &bound);
  if (fd < 0) {
    return fd;
  }
  const int error = add_socket(udp, member, fd, &bound);
  if (error < 0 && member->open_sockets == before) {
    (void)close(fd);
  }
  return error;
}

/* A socket that was handed to a node that has not opened stays the caller's. */
static void udp_unbind(struct kad_member *base) {
  struct kad_udp_member *member = kad_udp_member_of(base);
  kad_outgoing_flush(kad_udp_of(base->network)->outgoing);
  for (size_t i = 0; i < base->address_count; i++) {
    struct kad_udp_socket *socket = &member->sockets[i];
    uv_close((uv_handle_t *)&socket->poll, on_closed);
    if (!member->is_inherited || base->node != NULL) {
      (void)close(socket->fd);
    }
    socket->fd = -1;
  }
}

static void udp_release(struct kad_member *base) {
  struct kad_udp_member *member = kad_udp_member_of(base);
  assert(!member->released);
  member->released = true;
  free_if_done(member);
}

/* A link-local address without a known interface is searched on all of them. */
static void send_to_all_interfaces(struct kad_udp *udp,
                                   struct kad_udp_route *route,
                                   const struct kad_address *to,
                                   struct kad_slice datagram) {
  uint32_t interfaces[KAD_INTERFACES_MAX];
  const size_t count = kad_udp_interfaces(interfaces);
  for (size_t i = 0; i < count; i++) {
    route->interface = interfaces[i];
    kad_outgoing_add(udp->outgoing, route, to, datagram);
  }
}

static void udp_send(void *state, const struct kad_address *to,
                     struct kad_slice datagram) {
  struct kad_udp_member *member = state;
  struct kad_udp *udp = kad_udp_of(member->base.network);
  struct kad_udp_route route;
  if (member->base.leaving || datagram.len > KAD_DATAGRAM_MAX) {
    return;
  }
  if (!kad_udp_route_find(member, to, &route)) {
    kad_udp_failure_count(member, ENETUNREACH, to);
  } else if (kad_udp_is_link_local(to) && route.interface == 0 &&
             route.socket->is_wildcard) {
    send_to_all_interfaces(udp, &route, to, datagram);
  } else {
    kad_outgoing_add(udp->outgoing, &route, to, datagram);
  }
}

static void udp_random(void *state, uint8_t *out, size_t len) {
  const struct kad_member *member = state;
  kad_random_fill(&kad_udp_of(member->network)->random, out, len);
}

static void udp_stats(const struct kad_member *base,
                      struct kad_socket_stats *stats,
                      struct kad_send_failure *failure) {
  const struct kad_udp_member *member = kad_udp_member_of(base);
  *stats = member->stats;
  *failure = member->failure;
  if (failure->count > 0) {
    (void)uv_err_name_r(-failure->error, failure->error_name,
                        sizeof failure->error_name);
    (void)uv_strerror_r(-failure->error, failure->error_text,
                        sizeof failure->error_text);
  }
}

static const struct kad_member_methods member_methods = {
    .unbind = udp_unbind,
    .release = udp_release,
    .random = udp_random,
    .send = udp_send,
    .find_route = kad_udp_route_check,
    .stats = udp_stats,
};

/* Makes a member without sockets that has room for `count`. Returns NULL if
 * there is no memory. */
static struct kad_udp_member *new_member(struct kad_udp *udp, size_t count) {
  const struct kad_allocator *const allocator = &udp->base.allocator;
  const size_t size =
      sizeof(struct kad_udp_member) + count * sizeof(struct kad_udp_socket);
  if (udp->incoming == NULL) {
    udp->incoming = kad_incoming_new(allocator, KAD_DATAGRAM_USUAL);
  }
  struct kad_udp_member *member = kad_alloc_zero(allocator, size);
  if (member == NULL || udp->incoming == NULL) {
    kad_release(allocator, member, size);
    return NULL;
  }
  member->base.methods = &member_methods;
  member->base.network = &udp->base;
  member->size = size;
  return member;
}

static void discard_member(struct kad_udp_member *member) {
  udp_unbind(&member->base);
  udp_release(&member->base);
}

int kad_udp_socket_open(struct kad_network *network,
                        const struct kad_address *listen, size_t count,
                        struct kad_member **member) {
  struct kad_udp *udp = kad_udp_of(network);
  struct kad_udp_member *opened = new_member(udp, count);
  if (opened == NULL) {
    return KAD_ENOMEM;
  }
  for (size_t i = 0; i < count; i++) {
    const int error = open_socket(udp, opened, &listen[i]);
    if (error < 0) {
      discard_member(opened);
      return error;
    }
  }
  *member = &opened->base;
  return 0;
}

int kad_udp_socket_adopt(struct kad_network *network, const int *sockets,
                         size_t count, struct kad_member **member) {
  struct kad_udp *udp = kad_udp_of(network);
  struct kad_udp_member *opened = new_member(udp, count);
  int error = opened == NULL ? KAD_ENOMEM : 0;
  for (size_t i = 0; i < count && error == 0; i++) {
    struct kad_address bound = {0};
    opened->is_inherited = true;
    error = kad_inherited_socket_problem(sockets[i], &bound) != NULL
                ? KAD_EINVAL
                : add_socket(udp, opened, sockets[i], &bound);
  }
  if (error < 0) {
    if (opened != NULL) {
      discard_member(opened);
    }
    return error;
  }
  for (size_t i = 0; i < count; i++) {
    (void)fcntl(sockets[i], F_SETFD, FD_CLOEXEC);
  }
  *member = &opened->base;
  return 0;
}

/* For sendmmsg, and for the control messages of IPv6. */
#define _GNU_SOURCE

#include "net/udp/udp_outgoing.h"

#include "base/allocator.h"
#include "net/udp/udp.h"
#include "net/udp/udp_failure.h"
#include "net/udp/udp_message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Where a datagram goes. */
struct waiting {
  struct kad_udp_socket *socket;
  struct kad_address to;
  union kad_socket_address system; /* `to` */
};

struct kad_outgoing {
  struct mmsghdr headers[KAD_OUTGOING_MAX];
  struct iovec vectors[KAD_OUTGOING_MAX];
  union kad_udp_control control[KAD_OUTGOING_MAX];
  struct waiting waiting[KAD_OUTGOING_MAX];
  uint8_t bytes[KAD_OUTGOING_BYTES];
  size_t count;
  size_t used; /* of `bytes` */
  kad_outgoing_send_fn send;
};

/* libuv 1.44 sends the first datagram alone and the others a turn later, after
 * two more system calls. One call for all costs a fifth less. */
static int send_messages(int fd, struct mmsghdr *messages, unsigned count) {
#ifdef KAD_HAS_MMSG
  return sendmmsg(fd, messages, count, MSG_DONTWAIT);
#else
  (void)count;
  return sendmsg(fd, &messages->msg_hdr, MSG_DONTWAIT) < 0 ? -1 : 1;
#endif
}

struct kad_outgoing *kad_outgoing_new(const struct kad_allocator *allocator) {
  struct kad_outgoing *outgoing = kad_alloc(allocator, sizeof *outgoing);
  if (outgoing == NULL) {
    return NULL;
  }
  memset(outgoing->headers, 0, sizeof outgoing->headers);
  outgoing->count = 0;
  outgoing->used = 0;
  outgoing->send = send_messages;
  return outgoing;
}

void kad_outgoing_free(struct kad_outgoing *outgoing,
                       const struct kad_allocator *allocator) {
  kad_release(allocator, outgoing, sizeof *outgoing);
}

void kad_outgoing_set_send(struct kad_outgoing *outgoing,
                           kad_outgoing_send_fn send) {
  outgoing->send = send;
}

bool kad_outgoing_is_empty(const struct kad_outgoing *outgoing) {
  return outgoing->count == 0;
}

/* Returns 0 or the error of sending the datagram `i` by `socket`. */
static int send_one(struct kad_outgoing *outgoing, size_t i, int fd) {
  while (outgoing->send(fd, &outgoing->headers[i], 1) < 0) {
    if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

/* Sends the datagram `i`, which its socket could not send because it has no
 * route, in the other ways that there are. Returns true if one succeeded. */
static bool send_otherwise(struct kad_outgoing *outgoing, size_t i) {
  const struct waiting *waiting = &outgoing->waiting[i];
  struct kad_udp_member *member = waiting->socket->member;
  struct msghdr *header = &outgoing->headers[i].msg_hdr;
  if (header->msg_control != NULL) {
    header->msg_control = NULL;
    header->msg_controllen = 0;
    kad_udp_route_broke(member, &waiting->to);
    if (send_one(outgoing, i, waiting->socket->fd) == 0) {
      return true;
    }
  }
  for (size_t other = 0; other < member->base.address_count; other++) {
    if (kad_udp_route_is_possible(&member->sockets[other], &waiting->to) &&
        &member->sockets[other] != waiting->socket &&
        send_one(outgoing, i, member->sockets[other].fd) == 0) {
      return true;
    }
  }
  return false;
}

static void handle_failure(struct kad_outgoing *outgoing, size_t i, int error) {
  const struct waiting *waiting = &outgoing->waiting[i];
  struct kad_udp_member *member = waiting->socket->member;
  if (kad_udp_failure_is_of_route(error) && send_otherwise(outgoing, i)) {
    member->stats.send_rerouted++;
  } else {
    kad_udp_failure_count(member, error, &waiting->to);
  }
}

/* Sends `count` datagrams of one socket. One that fails is skipped. */
static void send_together(struct kad_outgoing *outgoing, size_t first,
                          size_t count) {
  const int fd = outgoing->waiting[first].socket->fd;
  size_t sent = 0;
  while (sent < count) {
    const int n = outgoing->send(fd, &outgoing->headers[first + sent],
                                 (unsigned)(count - sent));
    if (n > 0) {
      sent += (size_t)n;
    } else if (errno != EINTR) {
      handle_failure(outgoing, first + sent, errno);
      sent++;
    }
  }
}

void kad_outgoing_flush(struct kad_outgoing *outgoing) {
  size_t first = 0;
  while (first < outgoing->count) {
    const struct kad_udp_socket *socket = outgoing->waiting[first].socket;
    size_t count = 1;
    while (first + count < outgoing->count &&
           outgoing->waiting[first + count].socket == socket) {
      count++;
    }
    send_together(outgoing, first, count);
    first += count;
  }
  outgoing->count = 0;
  outgoing->used = 0;
}

void kad_outgoing_add(struct kad_outgoing *outgoing,
                      const struct kad_udp_route *route,
                      const struct kad_address *to, struct kad_slice datagram) {
  assert(datagram.len <= KAD_DATAGRAM_MAX);
  if (outgoing->count == KAD_OUTGOING_MAX ||
      datagram.len > sizeof outgoing->bytes - outgoing->used) {
    kad_outgoing_flush(outgoing);
  }
  const size_t i = outgoing->count++;
  struct waiting *added = &outgoing->waiting[i];
  added->socket = route->socket;
  added->to = *to;
  kad_udp_address_to_system(to, &added->system);
  if (to->family == 6) {
    added->system.ip6.sin6_scope_id = route->interface;
  }
  if (datagram.len > 0) {
    memcpy(outgoing->bytes + outgoing->used, datagram.data, datagram.len);
  }
  outgoing->vectors[i] = (struct iovec){
      .iov_base = outgoing->bytes + outgoing->used,
      .iov_len = datagram.len,
  };
  outgoing->used += datagram.len;
  struct msghdr *header = &outgoing->headers[i].msg_hdr;
  *header = (struct msghdr){
      .msg_name = &added->system,
      .msg_namelen =
          to->family == 4 ? sizeof added->system.ip4 : sizeof added->system.ip6,
      .msg_iov = &outgoing->vectors[i],
      .msg_iovlen = 1,
  };
  if (route->ip != NULL) {
    kad_udp_control_write(header, &outgoing->control[i], to->family, route->ip,
                          route->interface);
  }
}

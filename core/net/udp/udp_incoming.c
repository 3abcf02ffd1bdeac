/* For recvmmsg, and for the control messages of IPv6. */
#define _GNU_SOURCE

#include "net/udp/udp_incoming.h"

#include "base/allocator.h"
#include "net/udp/udp.h"
#include "net/udp/udp_message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct kad_incoming {
  struct mmsghdr headers[KAD_INCOMING_MAX];
  struct iovec vectors[KAD_INCOMING_MAX];
  union kad_socket_address from[KAD_INCOMING_MAX];
  union kad_udp_control control[KAD_INCOMING_MAX];
  size_t used;     /* headers that the latest batch has changed */
  size_t room;     /* bytes of the longest datagram; one more is received, so
                      that one that is too long is seen to be so */
  uint8_t bytes[]; /* room + 1 for each datagram */
};

/* Sets what receiving changes back to what a system call expects. */
static void reset(struct kad_incoming *incoming, size_t i) {
  struct msghdr *header = &incoming->headers[i].msg_hdr;
  header->msg_namelen = sizeof incoming->from[i];
  header->msg_controllen = sizeof incoming->control[i];
  header->msg_flags = 0;
  incoming->headers[i].msg_len = 0;
}

static size_t size_of(size_t room) {
  return sizeof(struct kad_incoming) + KAD_INCOMING_MAX * (room + 1);
}

struct kad_incoming *kad_incoming_new(const struct kad_allocator *allocator,
                                      size_t room) {
  struct kad_incoming *incoming = kad_alloc(allocator, size_of(room));
  if (incoming == NULL) {
    return NULL;
  }
  memset(incoming->headers, 0, sizeof incoming->headers);
  for (size_t i = 0; i < KAD_INCOMING_MAX; i++) {
    incoming->vectors[i] = (struct iovec){
        .iov_base = incoming->bytes + i * (room + 1),
        .iov_len = room + 1,
    };
    incoming->headers[i].msg_hdr = (struct msghdr){
        .msg_name = &incoming->from[i],
        .msg_iov = &incoming->vectors[i],
        .msg_iovlen = 1,
        .msg_control = &incoming->control[i],
    };
    reset(incoming, i);
  }
  incoming->used = 0;
  incoming->room = room;
  return incoming;
}

void kad_incoming_free(struct kad_incoming *incoming,
                       const struct kad_allocator *allocator) {
  if (incoming != NULL) {
    kad_release(allocator, incoming, size_of(incoming->room));
  }
}

void kad_incoming_grow(struct kad_incoming **incoming,
                       const struct kad_allocator *allocator, size_t room) {
  if ((*incoming)->room >= room) {
    return;
  }
  struct kad_incoming *larger = kad_incoming_new(allocator, room);
  if (larger != NULL) {
    kad_incoming_free(*incoming, allocator);
    *incoming = larger;
  }
}

bool kad_incoming_want_local(int fd, unsigned family) {
  const int on = 1;
#ifdef IPV6_RECVPKTINFO
  if (family == 6) {
    return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0;
  }
#endif
#ifdef IP_PKTINFO
  if (family == 4) {
    return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
  }
#endif
  (void)fd;
  (void)family;
  (void)on;
  return false;
}

int kad_incoming_receive(struct kad_incoming *incoming, int fd) {
  int count;
  for (size_t i = 0; i < incoming->used; i++) {
    reset(incoming, i);
  }
#ifdef KAD_HAS_MMSG
  do {
    count =
        recvmmsg(fd, incoming->headers, KAD_INCOMING_MAX, MSG_DONTWAIT, NULL);
  } while (count < 0 && errno == EINTR);
#else
  count = 0;
  while (count < KAD_INCOMING_MAX) {
    struct mmsghdr *const header = &incoming->headers[count];
    const ssize_t len = recvmsg(fd, &header->msg_hdr, MSG_DONTWAIT);
    if (len >= 0) {
      header->msg_len = (unsigned)len;
      count++;
    } else if (errno != EINTR) {
      count = count > 0 ? count : -1;
      break;
    }
  }
#endif
  incoming->used = count > 0 ? (size_t)count : 0;
  return count;
}

/* Reads the local address that the i-th datagram was sent to. One that was sent
 * to a group has none. */
static void read_local(const struct kad_incoming *incoming, size_t i,
                       struct kad_udp_source *local) {
  const union kad_socket_address *from = &incoming->from[i];
  *local = (struct kad_udp_source){0};
  kad_udp_control_read(&incoming->headers[i].msg_hdr, local);
  if (from->any.sa_family == AF_INET6 &&
      IN6_IS_ADDR_LINKLOCAL(&from->ip6.sin6_addr)) {
    local->interface = from->ip6.sin6_scope_id;
  }
}

void kad_incoming_at(const struct kad_incoming *incoming, size_t i,
                     struct kad_incoming_datagram *datagram) {
  const struct mmsghdr *header = &incoming->headers[i];
  const size_t len = header->msg_len;
  kad_udp_address_from_system(&incoming->from[i].any, &datagram->from);
  read_local(incoming, i, &datagram->local);
  datagram->bytes = (struct kad_slice){
      .data = incoming->bytes + i * (incoming->room + 1),
      .len = len <= incoming->room ? len : 0,
  };
}

#define _GNU_SOURCE

#include "datagrams.h"

#include <assert.h>
#include <string.h>

void datagrams_init(struct datagrams *datagrams) {
  memset(datagrams, 0, sizeof(*datagrams));
  for (size_t i = 0; i < DATAGRAMS_MAX; i++) {
    struct msghdr *header = &datagrams->headers[i].msg_hdr;
    datagrams->vectors[i].iov_base = datagrams->bytes[i];
    header->msg_name = &datagrams->addresses[i];
    header->msg_iov = &datagrams->vectors[i];
    header->msg_iovlen = 1;
  }
}

size_t datagrams_receive(struct datagrams *datagrams, int fd) {
  for (size_t i = 0; i < DATAGRAMS_MAX; i++) {
    datagrams->vectors[i].iov_len = DATAGRAM_BYTES;
    datagrams->headers[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
  }
  int count =
      recvmmsg(fd, datagrams->headers, DATAGRAMS_MAX, MSG_DONTWAIT, NULL);
  datagrams->count = count > 0 ? (size_t)count : 0;
  return datagrams->count;
}

const uint8_t *datagrams_get(const struct datagrams *datagrams, size_t i,
                             size_t *len) {
  assert(i < datagrams->count);
  *len = datagrams->headers[i].msg_len;
  return datagrams->bytes[i];
}

uint8_t *datagrams_room(struct datagrams *datagrams) {
  if (datagrams->count == DATAGRAMS_MAX) {
    return NULL;
  }
  return datagrams->bytes[datagrams->count];
}

void datagrams_add(struct datagrams *datagrams, size_t len,
                   const struct sockaddr_in *to) {
  size_t i = datagrams->count++;
  assert(i < DATAGRAMS_MAX && len <= DATAGRAM_BYTES);
  datagrams->vectors[i].iov_len = len;
  datagrams->addresses[i] = *to;
  datagrams->headers[i].msg_hdr.msg_namelen = sizeof(*to);
}

void datagrams_send(struct datagrams *datagrams, int fd) {
  size_t sent = 0;
  while (sent < datagrams->count) {
    unsigned left = (unsigned)(datagrams->count - sent);
    int n = sendmmsg(fd, datagrams->headers + sent, left, 0);
    if (n <= 0) {
      break;
    }
    sent += (size_t)n;
  }
  datagrams->count = 0;
}

#ifndef BENCH_DATAGRAMS_H
#define BENCH_DATAGRAMS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
  DATAGRAMS_MAX = 64,
  DATAGRAM_BYTES = 2048,
};

/* A batch of datagrams that one system call receives or sends. */
struct datagrams {
  struct mmsghdr headers[DATAGRAMS_MAX];
  struct iovec vectors[DATAGRAMS_MAX];
  struct sockaddr_in addresses[DATAGRAMS_MAX];
  uint8_t bytes[DATAGRAMS_MAX][DATAGRAM_BYTES];
  size_t count;
};

/* Makes an empty batch. The struct must not move in memory afterwards. */
void datagrams_init(struct datagrams *datagrams);

/* Replaces the batch by the datagrams that wait at `fd`. Does not block.
 *
 * Returns their number. */
size_t datagrams_receive(struct datagrams *datagrams, int fd);

/* Returns the bytes of the i-th datagram received and writes its length. */
const uint8_t *datagrams_get(const struct datagrams *datagrams, size_t i,
                             size_t *len);

/* Returns room for one more datagram (DATAGRAM_BYTES), or NULL when the batch
 * is full. */
uint8_t *datagrams_room(struct datagrams *datagrams);

/* Adds the datagram of `len` bytes that was written there, for the address
 * `to`. Copies: `to`. */
void datagrams_add(struct datagrams *datagrams, size_t len,
                   const struct sockaddr_in *to);

/* Sends the batch from `fd` and empties it. Drops what the kernel refuses,
 * which counts as lost. */
void datagrams_send(struct datagrams *datagrams, int fd);

#endif

#ifndef BENCH_SOURCE_H
#define BENCH_SOURCE_H

#include "krpc_query.h"

#include <netinet/in.h>
#include <stdint.h>

/* An address of 127.0.0.0/8 with a node id, from which queries are sent. */
struct source {
  int fd;
  struct sockaddr_in address;
  uint8_t id[KRPC_ID_BYTES];
};

/* Opens a non-blocking socket at `host` and a free port.
 *
 * Range: `host` is in host byte order and within 127.0.0.0/8.
 * Returns 0, or -1 with errno set. */
int source_open(struct source *source, uint32_t host);

/* Closes the socket, unless it is closed. */
void source_close(struct source *source);

/* Reads an address such as "127.0.0.1:6881". Returns 0, or -1 when it is not an
 * address of 127.0.0.0/8 with a port other than 0. */
int source_parse_server(const char *text, struct sockaddr_in *server);

/* Fills `len` bytes with pseudorandom numbers from `*seed`, and advances it. */
void source_random(uint64_t *seed, uint8_t *out, size_t len);

#endif

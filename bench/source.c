#define _GNU_SOURCE

#include "source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  SOCKET_BUFFER_BYTES = 4 << 20,
  LOOPBACK_NET = 127,
};

int source_open(struct source *source, uint32_t host) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return -1;
  }
  int size = SOCKET_BUFFER_BYTES;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_addr.s_addr = htonl(host),
  };
  socklen_t len = sizeof(address);
  if (bind(fd, (struct sockaddr *)&address, len) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
  }
  source->fd = fd;
  source->address = address;
  return 0;
}

void source_close(struct source *source) {
  if (source->fd >= 0) {
    close(source->fd);
  }
  source->fd = -1;
}

int source_parse_server(const char *text, struct sockaddr_in *server) {
  char host[INET_ADDRSTRLEN] = {0};
  const char *colon = strrchr(text, ':');
  if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
    return -1;
  }
  memcpy(host, text, (size_t)(colon - text));
  char *end = NULL;
  unsigned long port = strtoul(colon + 1, &end, 10);
  struct sockaddr_in parsed = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, host, &parsed.sin_addr) != 1 || *end != '\0' ||
      port == 0 || port > UINT16_MAX ||
      ntohl(parsed.sin_addr.s_addr) >> 24 != LOOPBACK_NET) {
    return -1;
  }
  parsed.sin_port = htons((uint16_t)port);
  *server = parsed;
  return 0;
}

/* splitmix64, which works with every seed. */
static uint64_t next_random(uint64_t *seed) {
  uint64_t mixed = *seed += 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
  return mixed ^ (mixed >> 31);
}

void source_random(uint64_t *seed, uint8_t *out, size_t len) {
  for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
    uint64_t word = next_random(seed);
    size_t part = len - i < sizeof(word) ? len - i : sizeof(word);
    memcpy(out + i, &word, part);
  }
}

#define _GNU_SOURCE

#include "swarm.h"

#include "datagrams.h"
#include "krpc_reply.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  FIRST_HOST = 0x7F010001, /* 127.1.0.1 */
  PINGING_HOST = 0x7F000001,
  PING_PERIOD_MS = 1000,
  QUIET_MS = 3000,
  POLL_MS = 50,
  BURST = 16,
  TID_MAX = 64,
  LEARN_TRIES = 5,
  LEARN_TIMEOUT_MS = 400,
  BYTE_BITS = 8,
  ID_BITS = 160,
};

static uint64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Chooses an id that shares exactly `depth` leading bits with the server's. */
static void choose_id(struct swarm *swarm, size_t i, uint64_t *seed) {
  uint8_t *id = swarm->nodes[i].source.id;
  size_t depth = i / SWARM_NODES_A_BUCKET % ID_BITS;
  source_random(seed, id, KRPC_ID_BYTES);
  for (size_t bit = 0; bit <= depth; bit++) {
    uint8_t mask = (uint8_t)(0x80U >> bit % BYTE_BITS);
    uint8_t wanted = swarm->server_id[bit / BYTE_BITS] & mask;
    if (bit == depth) {
      wanted ^= mask;
    }
    uint8_t *byte = &id[bit / BYTE_BITS];
    *byte = (uint8_t)((*byte & ~mask) | wanted);
  }
}

int swarm_init(struct swarm *swarm, const struct sockaddr_in *server,
               const uint8_t *server_id, size_t count) {
  *swarm = (struct swarm){.server = *server, .count = count};
  memcpy(swarm->server_id, server_id, KRPC_ID_BYTES);
  swarm->nodes = calloc(count, sizeof(*swarm->nodes));
  if (swarm->nodes == NULL) {
    swarm->count = 0;
    fputs("load: out of memory\n", stderr);
    return -1;
  }
  for (size_t i = 0; i < count; i++) {
    swarm->nodes[i].source.fd = -1;
  }
  uint64_t seed = count;
  for (size_t i = 0; i < count; i++) {
    if (source_open(&swarm->nodes[i].source, FIRST_HOST + (uint32_t)i) < 0) {
      fprintf(stderr, "load: node %zu: %s\n", i, strerror(errno));
      return -1;
    }
    choose_id(swarm, i, &seed);
  }
  return 0;
}

void swarm_deinit(struct swarm *swarm) {
  for (size_t i = 0; i < swarm->count; i++) {
    source_close(&swarm->nodes[i].source);
  }
  free(swarm->nodes);
}

static void send_ping(const struct source *source,
                      const struct sockaddr_in *server) {
  uint8_t bytes[KRPC_QUERY_MAX];
  struct krpc_query query = {.kind = KRPC_PING, .id = source->id};
  size_t len = krpc_query_write(&query, bytes);
  (void)sendto(source->fd, bytes, len, 0, (const struct sockaddr *)server,
               sizeof(*server));
}

static void serve_node(struct swarm *swarm, struct swarm_node *node) {
  for (int i = 0; i < BURST; i++) {
    uint8_t bytes[DATAGRAM_BYTES];
    ssize_t len = recv(node->source.fd, bytes, sizeof(bytes), 0);
    if (len < 0) {
      return;
    }
    struct krpc_reply query;
    if (krpc_reply_read(bytes, (size_t)len, &query) < 0 || query.sort != 'q' ||
        query.tid_len > TID_MAX) {
      continue;
    }
    uint8_t answer[KRPC_QUERY_MAX];
    size_t size =
        krpc_answer_write(node->source.id, query.tid, query.tid_len, answer);
    (void)sendto(node->source.fd, answer, size, 0,
                 (const struct sockaddr *)&swarm->server,
                 sizeof(swarm->server));
    node->answered++;
  }
}

/* Waits for datagrams up to `wait_ms`, and answers them. */
static void serve(struct swarm *swarm, struct pollfd *polls, int wait_ms) {
  if (poll(polls, swarm->count, wait_ms) <= 0) {
    return;
  }
  for (size_t i = 0; i < swarm->count; i++) {
    if (polls[i].revents != 0) {
      serve_node(swarm, &swarm->nodes[i]);
    }
  }
}

static struct pollfd *new_polls(const struct swarm *swarm) {
  struct pollfd *polls = calloc(swarm->count, sizeof(*polls));
  for (size_t i = 0; polls != NULL && i < swarm->count; i++) {
    polls[i].fd = swarm->nodes[i].source.fd;
    polls[i].events = POLLIN;
  }
  return polls;
}

static size_t count_answered(const struct swarm *swarm) {
  size_t count = 0;
  for (size_t i = 0; i < swarm->count; i++) {
    count += swarm->nodes[i].answered > 0;
  }
  return count;
}

/* Sends pings in small bursts, so that the server does not drop verifications
 * that it defers. */
static void ping_all(struct swarm *swarm, struct pollfd *polls) {
  for (size_t i = 0; i < swarm->count; i++) {
    if (swarm->nodes[i].answered == 0) {
      send_ping(&swarm->nodes[i].source, &swarm->server);
    }
    if (i % BURST == BURST - 1) {
      serve(swarm, polls, 1);
    }
  }
}

size_t swarm_fill(struct swarm *swarm, uint64_t limit_ms) {
  struct pollfd *polls = new_polls(swarm);
  if (polls == NULL) {
    return 0;
  }
  uint64_t now_ms = clock_ms();
  uint64_t end_ms = now_ms + limit_ms;
  uint64_t ping_ms = 0;
  uint64_t quiet_ms = now_ms + QUIET_MS;
  size_t queried = 0;
  while (now_ms < end_ms && now_ms < quiet_ms && queried < swarm->count) {
    if (now_ms >= ping_ms) {
      ping_all(swarm, polls);
      ping_ms = now_ms + PING_PERIOD_MS;
    }
    serve(swarm, polls, POLL_MS);
    now_ms = clock_ms();
    size_t before = queried;
    queried = count_answered(swarm);
    quiet_ms = queried > before ? now_ms + QUIET_MS : quiet_ms;
  }
  free(polls);
  return queried;
}

void swarm_hold(struct swarm *swarm, uint64_t limit_ms,
                const volatile sig_atomic_t *stopping) {
  struct pollfd *polls = new_polls(swarm);
  uint64_t end_ms = clock_ms() + limit_ms;
  while (polls != NULL && !*stopping && clock_ms() < end_ms) {
    serve(swarm, polls, POLL_MS);
  }
  free(polls);
}

static int ping_for_id(const struct source *source,
                       const struct sockaddr_in *server, uint8_t *server_id) {
  send_ping(source, server);
  struct pollfd readable = {.fd = source->fd, .events = POLLIN};
  if (poll(&readable, 1, LEARN_TIMEOUT_MS) <= 0) {
    return -1;
  }
  uint8_t bytes[DATAGRAM_BYTES];
  ssize_t len = recv(source->fd, bytes, sizeof(bytes), 0);
  struct krpc_reply reply;
  if (len < 0 || krpc_reply_read(bytes, (size_t)len, &reply) < 0 ||
      reply.sort != 'r' || reply.id == NULL) {
    return -1;
  }
  memcpy(server_id, reply.id, KRPC_ID_BYTES);
  return 0;
}

int swarm_learn_id(const struct sockaddr_in *server, uint8_t *server_id) {
  struct source source = {.fd = -1};
  if (source_open(&source, PINGING_HOST) < 0) {
    return -1;
  }
  int status = -1;
  for (int i = 0; i < LEARN_TRIES && status < 0; i++) {
    status = ping_for_id(&source, server, server_id);
  }
  source_close(&source);
  return status;
}

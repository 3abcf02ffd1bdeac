/* Measures the processor time of sealed datagrams, by the bytes of the message:
 * sealing one, opening it, refusing it, and knowing it as a replay.
 *
 *     make RELEASE=1 build/release/bench/seal && build/release/bench/seal
 *
 * Each figure is the median of ROUNDS, of DATAGRAMS each. */
#define _GNU_SOURCE

#include "wire/seal.h"

#include "rpc/replay_filter.h"

#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  ROUNDS = 11,
  DATAGRAMS = 50000,
  SEALED_MAX = 1500
};

static const struct kad_network_keys old_keys = {.keys = {{1}}, .count = 1};
static const struct kad_network_keys both = {.keys = {{2}, {1}}, .count = 2};
static const struct kad_network_keys other = {.keys = {{3}}, .count = 1};

static struct kad_seal seal;   /* of the sender */
static struct kad_seal opener; /* of the receiver */
static struct kad_replay_filter filter;
static uint8_t message[SEALED_MAX];
static uint8_t datagram[SEALED_MAX];
static uint8_t room[SEALED_MAX];
static uint64_t number;

static void seal_one(size_t len) {
  uint8_t nonce[KAD_SEAL_NONCE_SIZE] = {0};
  number++;
  memcpy(nonce, &number, sizeof number);
  kad_seal_write(&seal, nonce, 1, (struct kad_slice){message, len}, datagram);
}

static void open_one(size_t len) {
  struct kad_opened opened;
  const struct kad_slice bytes = {datagram, len + KAD_SEAL_OVERHEAD};
  if (kad_seal_open(&opener, bytes, room, &opened) == KAD_EINVAL) {
    abort();
  }
}

static void both_ways(size_t len) {
  seal_one(len);
  open_one(len);
}

static void filter_one(size_t len) {
  uint64_t nonce = ++number * UINT64_C(0x9e3779b97f4a7c15);
  (void)len;
  (void)kad_replay_filter_admit(&filter, (const uint8_t *)&nonce, 0);
}

static double cpu_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
  return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a;
  const double y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Returns the nanoseconds that `work` takes. */
static double measure(void (*work)(size_t len), size_t len) {
  double rounds[ROUNDS];
  seal_one(len);
  for (size_t i = 0; i < ROUNDS; i++) {
    const double began = cpu_ns();
    for (size_t n = 0; n < DATAGRAMS; n++) {
      work(len);
    }
    rounds[i] = (cpu_ns() - began) / DATAGRAMS;
  }
  qsort(rounds, ROUNDS, sizeof *rounds, compare);
  return rounds[ROUNDS / 2];
}

int main(void) {
  static const size_t lens[] = {50, 100, 200, 500, 1000, 1400};
  const struct kad_allocator allocator = kad_allocator_default();
  if (sodium_init() < 0) {
    return EXIT_FAILURE;
  }
  kad_replay_filter_init(&filter, &allocator, 1, 0);
  puts("bytes  seal ns  open ns  both ns  second key ns  refused ns");
  for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
    const size_t len = lens[i];
    kad_seal_init(&seal, &old_keys);
    kad_seal_init(&opener, &old_keys);
    const double sealing = measure(seal_one, len);
    const double opening = measure(open_one, len);
    const double together = measure(both_ways, len);
    kad_seal_init(&opener, &both);
    const double second = measure(open_one, len);
    kad_seal_init(&opener, &other);
    printf("%5zu  %7.0f  %7.0f  %7.0f  %13.0f  %10.0f\n", len, sealing, opening,
           together, second, measure(open_one, len));
  }
  printf("replay filter: %.0f ns\n", measure(filter_one, 0));
  kad_replay_filter_deinit(&filter);
  return EXIT_SUCCESS;
}

/* Measures a memory store: what a record takes, and what the operations cost.
 *
 *     build/release/bench/store_size --keys 10000 --peers 100
 *     build/release/bench/store_size --keys 100000 --value 100
 *
 * Fills a store round by round, one record for each key. Then confirms every
 * record, reads it, and drops it when it expires. `block` is what malloc
 * reserves for a record, `resident` the growth of the process, `bytes` what the
 * store itself says; all three per record. */
#define _GNU_SOURCE

#include "base/allocator.h"
#include "number.h"
#include "records/memory/memory_store.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  KEYS_MAX = 20000000,
  PEERS_MAX = 1000,
  LIFE_MS = 2700000,
  ROUND_MS = 1000,
  PAGE = 64 /* handles that are found at a time */
};

static const char program[] = "store_size";

struct bench {
  uint32_t keys;
  uint32_t peers; /* records of a key */
  uint32_t value; /* bytes of a plain value; 0: peers */
  uint32_t hosts; /* that store; 0: another one for each record */
  bool is_wide;   /* IPv6 */
  bool has_port;  /* the port of a peer is not that of its node */
  struct kad_store *store;
  size_t requested; /* bytes of the allocator */
  size_t count;
};

/* ----------------------------------------------------------- measuring -- */

static void *resize(void *state, void *old, size_t old_size, size_t new_size) {
  struct bench *bench = state;
  const struct kad_allocator plain = kad_allocator_default();
  void *block = plain.resize(plain.state, old, old_size, new_size);
  if (block != NULL || new_size == 0) {
    bench->requested += new_size - old_size;
  }
  return block;
}

static double seconds_now(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t resident_bytes(void) {
  unsigned long pages = 0;
  char line[128] = "";
  FILE *const file = fopen("/proc/self/statm", "re");
  if (file != NULL) {
    const char *const read = fgets(line, sizeof line, file);
    const char *const second = read == NULL ? NULL : strchr(line, ' ');
    pages = second == NULL ? 0 : strtoul(second, NULL, 10);
    (void)fclose(file);
  }
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t block_bytes(void) {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* ------------------------------------------------------------- records -- */

static struct kad_id key_at(uint32_t number) {
  struct kad_id key = {.bytes = {0}};
  const uint64_t mixed = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
  memcpy(key.bytes, &mixed, sizeof mixed);
  memcpy(key.bytes + 16, &number, sizeof number);
  return key;
}

static struct kad_address host_at(const struct bench *bench, uint32_t number) {
  struct kad_address host = {.port = 6881, .family = bench->is_wide ? 6 : 4};
  host.ip[0] = 0x20;
  for (size_t i = 1; i < 5; i++) {
    host.ip[i - (bench->is_wide ? 0 : 1)] = (uint8_t)(number >> (32 - 8 * i));
  }
  if (bench->is_wide) {
    host.ip[15] = 1;
  }
  return host;
}

static size_t pack(const struct kad_address *address, uint8_t *out) {
  const size_t size = address->family == 6 ? 16 : 4;
  memcpy(out, address->ip, size);
  out[size] = (uint8_t)(address->port >> 8);
  out[size + 1] = (uint8_t)address->port;
  return size + 2;
}

static void add(struct bench *bench, uint32_t key, uint32_t round) {
  static uint8_t bytes[KAD_VALUE_MAX];
  uint32_t number = round * bench->keys + key;
  number = bench->hosts == 0 ? number : number % bench->hosts;
  const kad_time_ms now = (kad_time_ms)round * ROUND_MS;
  struct kad_record_meta meta = {
      .stored_at = now,
      .expires_at = now + LIFE_MS,
      .republish_at = bench->value == 0 ? KAD_TIME_NEVER : LIFE_MS,
      .origin = host_at(bench, number)};
  struct kad_record record = {.key = key_at(key)};
  size_t len = bench->value;
  if (len == 0) {
    struct kad_address peer = meta.origin;
    peer.port = (uint16_t)(peer.port + (bench->has_port ? 1 : 0));
    len = pack(&peer, bytes);
  }
  const char *const type = bench->value == 0 ? "peers" : "value";
  record.type = (struct kad_slice){(const uint8_t *)type, 5};
  record.value = (struct kad_slice){bytes, len};
  kad_record_handle handle = 0;
  if (kad_store_add(bench->store, &record, &meta, &handle) != 0) {
    fprintf(stderr, "%s: out of memory\n", program);
    exit(1);
  }
}

static void fill(struct bench *bench) {
  for (uint32_t round = 0; round < bench->peers; round++) {
    for (uint32_t key = 0; key < bench->keys; key++) {
      add(bench, key, round);
    }
  }
}

/* Reads a record; confirms it if `now` is not 0. */
static void visit(const struct bench *bench, kad_record_handle handle,
                  kad_time_ms now) {
  struct kad_held held;
  if (kad_store_read(bench->store, handle, &held) && now != 0) {
    held.meta.stored_at = now;
    held.meta.expires_at = now + LIFE_MS;
    kad_store_set_meta(bench->store, handle, &held.meta);
  }
}

/* Visits every record of a key; the oldest of a page first to confirm it. */
static void visit_key(const struct bench *bench, const struct kad_id *key,
                      kad_time_ms now) {
  const struct kad_slice type = {
      (const uint8_t *)(bench->value == 0 ? "peers" : "value"), 5};
  kad_record_handle handles[PAGE];
  for (size_t skip = 0; skip < bench->peers; skip += PAGE) {
    const size_t left =
        kad_store_find(bench->store, key, type, skip, handles, PAGE) - skip;
    const size_t page = left < PAGE ? left : PAGE;
    for (size_t i = 0; i < page; i++) {
      visit(bench, handles[now == 0 ? i : page - 1 - i], now);
    }
  }
}

static void visit_all(const struct bench *bench, kad_time_ms now) {
  for (uint32_t number = 0; number < bench->keys; number++) {
    const struct kad_id key = key_at(number);
    visit_key(bench, &key, now);
  }
}

static void expire(const struct bench *bench) {
  kad_time_ms at = 0;
  kad_record_handle handle = kad_store_due_expire(bench->store, &at);
  while (handle != 0) {
    kad_store_remove(bench->store, handle);
    handle = kad_store_due_expire(bench->store, &at);
  }
}

/* Prints the nanoseconds for a record since `from`, and returns the time. */
static double show_time(const struct bench *bench, const char *what,
                        double from) {
  const double now = seconds_now();
  printf("  %s %.0f", what, (now - from) * 1e9 / (double)bench->count);
  return now;
}

static void measure(struct bench *bench) {
  const size_t resident = resident_bytes();
  const size_t blocks = block_bytes();
  double from = seconds_now();
  fill(bench);
  bench->count = kad_store_count(bench->store);
  const double count = (double)bench->count;
  printf("records %zu\nbytes a record: requested %.1f  block %.1f  resident "
         "%.1f  bytes %.1f\n",
         bench->count, (double)bench->requested / count,
         (double)(block_bytes() - blocks) / count,
         (double)(resident_bytes() - resident) / count,
         (double)kad_store_bytes(bench->store) / count);
  printf("ns a record:");
  from = show_time(bench, "add", from);
  visit_all(bench, 0);
  from = show_time(bench, "find and read", from);
  visit_all(bench, LIFE_MS / 2);
  from = show_time(bench, "confirm", from);
  expire(bench);
  (void)show_time(bench, "expire", from);
  printf("\n");
}

/* ------------------------------------------------------------- options -- */

static const char usage[] =
    "usage: store_size [--keys N] [--peers N] [--value BYTES] [--hosts N]\n"
    "                  [--ipv6] [--port]\n";

static const struct option options[] = {
    {"keys", required_argument, NULL, 'k'},
    {"peers", required_argument, NULL, 'p'},
    {"value", required_argument, NULL, 'v'},
    {"hosts", required_argument, NULL, 'h'},
    {"ipv6", no_argument, NULL, '6'},
    {"port", no_argument, NULL, 'o'},
    {0},
};

static uint32_t number_of(const char *text, uint32_t low, uint32_t high) {
  uint32_t number = 0;
  if (number_parse(program, text, low, high, &number) < 0) {
    exit(2);
  }
  return number;
}

static void set_option(struct bench *bench, int option) {
  switch (option) {
  case 'k':
    bench->keys = number_of(optarg, 1, KEYS_MAX);
    return;
  case 'p':
    bench->peers = number_of(optarg, 1, PEERS_MAX);
    return;
  case 'v':
    bench->value = number_of(optarg, 1, KAD_VALUE_MAX);
    return;
  case 'h':
    bench->hosts = number_of(optarg, 0, UINT32_MAX);
    return;
  case '6':
    bench->is_wide = true;
    return;
  case 'o':
    bench->has_port = true;
    return;
  default:
    fputs(usage, stderr);
    exit(2);
  }
}

int main(int argc, char **argv) {
  static const uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE] =
      "store size bench";
  struct bench bench = {.keys = 10000, .peers = 1};
  int option = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    set_option(&bench, option);
  }
  const struct kad_allocator allocator = {.resize = resize, .state = &bench};
  if (kad_memory_store_new(&allocator, secret, &bench.store) != 0) {
    return 1;
  }
  measure(&bench);
  kad_memory_store_free(bench.store);
  return bench.requested == 0 ? 0 : 1;
}

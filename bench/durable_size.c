/* Measures a durable store beside the store in memory: the time of opening, of
 * stores and gets, the size of the file, and memory.
 *
 *     build/release/bench/durable_size --records 1000000 --folder /var/tmp/x
 *
 * With --reopen the folder has the records of a run before.
 *
 * Stores are plain values of 100 bytes from 1,000 hosts, 32 in a commit, as in
 * a turn of a busy node. Processor time is of the process: it includes that of
 * the thread that writes to LMDB. A get finds and reads a record by its key. */
#define _GNU_SOURCE

#include "base/allocator.h"
#include "kadenza_durable.h"
#include "number.h"
#include "records/memory/memory_store.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
  VALUE_SIZE = 100,
  HOSTS = 1000,
  TURN = 32, /* stores that share a commit */
  GETS = 200000,
  RECORDS_MAX = 10000000
};

static const char program[] = "durable_size";

struct bench {
  const char *folder;
  uint32_t records;
  struct kad_network *network;
  struct kad_durable *durable; /* NULL: the store in memory */
  struct kad_store *store;
  unsigned waiting; /* commits that have not ended */
};

static double seconds_of(clockid_t clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void) {
  return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* Of this thread: that of the loop. */
static double loop_s(void) {
  return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

static double wall_s(void) {
  return seconds_of(CLOCK_MONOTONIC);
}

/* Returns the resident memory of the process in MB. */
static double resident_mb(void) {
  static const char field[] = "VmRSS:";
  char line[256];
  double kilobytes = 0;
  FILE *const status = fopen("/proc/self/status", "re");
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, field, sizeof field - 1) == 0) {
      kilobytes = strtod(line + sizeof field - 1, NULL);
    }
  }
  if (status != NULL) {
    (void)fclose(status);
  }
  return kilobytes / 1024;
}

static struct kad_id key_of(uint32_t number) {
  struct kad_id key;
  char text[16];
  (void)snprintf(text, sizeof text, "%u", (unsigned)number);
  kad_id_hash(kad_slice_of(text), 160, &key);
  return key;
}

static void fail(const char *what, const struct kad_problem *problem) {
  (void)fprintf(stderr, "%s: %s: %s\n", program, what, problem->text);
  exit(1);
}

static void open_store(struct bench *bench) {
  struct kad_problem problem = {""};
  const struct kad_durable_config config = {.folder = bench->folder};
  if (kad_network_udp_new(kad_allocator_default(), &bench->network) != 0 ||
      kad_durable_open(bench->network, &config, &bench->durable, &problem) !=
          0) {
    fail("the store cannot be opened", &problem);
  }
  bench->store = kad_durable_store(bench->durable);
}

static void close_store(struct bench *bench) {
  kad_durable_close(bench->durable);
  kad_network_free(bench->network);
}

static void on_committed(void *data, int status) {
  struct bench *bench = data;
  bench->waiting--;
  if (status != 0) {
    const struct kad_problem problem = {"the disk refuses"};
    fail("a commit", &problem);
  }
}

static void commit(struct bench *bench, kad_time_ms now) {
  if (bench->store->commit == NULL) {
    return;
  }
  bench->waiting++;
  bench->store->commit(bench->store->state, now, on_committed, bench);
  kad_network_step(bench->network);
  while (bench->waiting > 0) {
    kad_network_step(bench->network);
  }
}

static void add_record(const struct bench *bench, uint32_t number,
                       kad_time_ms now) {
  uint8_t value[VALUE_SIZE] = {0};
  memcpy(value, &number, sizeof number);
  const uint32_t host = number % HOSTS;
  const struct kad_record record = {
      .key = key_of(number),
      .type = kad_slice_of("value"),
      .value = {value, sizeof value},
  };
  const struct kad_record_meta meta = {
      .stored_at = now,
      .expires_at = now + 86400000,
      .republish_at = now + 3600000,
      .origin = {.ip = {10, 0, (uint8_t)(host >> 8), (uint8_t)host},
                 .port = 6881,
                 .family = 4},
  };
  kad_record_handle handle;
  if (bench->store->add(bench->store->state, &record, &meta, &handle) != 0) {
    const struct kad_problem problem = {"refused"};
    fail("a store", &problem);
  }
}

static void fill(struct bench *bench, const char *name) {
  const kad_time_ms now = kad_network_now(bench->network);
  const double cpu = cpu_s();
  const double loop = loop_s();
  const double wall = wall_s();
  for (uint32_t i = 0; i < bench->records; i++) {
    add_record(bench, i, now);
    if (i % TURN == TURN - 1) {
      commit(bench, now);
    }
  }
  commit(bench, now);
  (void)printf("%-8s store: %.2f us of processor time, %.2f of it in the loop, "
               "%.2f us\n",
               name, (cpu_s() - cpu) * 1e6 / bench->records,
               (loop_s() - loop) * 1e6 / bench->records,
               (wall_s() - wall) * 1e6 / bench->records);
}

static void read_all(const struct bench *bench, const char *name) {
  const struct kad_store *store = bench->store;
  uint32_t found = 0;
  const double cpu = cpu_s();
  for (uint32_t i = 0; i < GETS; i++) {
    const struct kad_id key =
        key_of((uint32_t)((uint64_t)i * 2654435761U % bench->records));
    kad_record_handle handle;
    struct kad_held held;
    if (store->find(store->state, &key, kad_slice_of("value"), 0, &handle, 1) >
            0 &&
        store->read(store->state, handle, &held)) {
      found++;
    }
  }
  (void)printf("%-8s get: %.2f us of processor time, %u of %d found\n", name,
               (cpu_s() - cpu) * 1e6 / GETS, (unsigned)found, (int)GETS);
}

static void measure_memory(struct bench *bench) {
  static const uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE] = "bench";
  const struct kad_allocator allocator = kad_allocator_default();
  const double before = resident_mb();
  if (kad_network_udp_new(allocator, &bench->network) != 0 ||
      kad_memory_store_new(&allocator, secret, &bench->store) != 0) {
    exit(1);
  }
  fill(bench, "memory");
  read_all(bench, "memory");
  (void)printf("memory   resident: %.0f MB\n", resident_mb() - before);
  kad_memory_store_free(bench->store);
  kad_network_free(bench->network);
}

static void print_file(const struct bench *bench) {
  char path[4200];
  struct stat status = {0};
  (void)snprintf(path, sizeof path, "%s/records.mdb", bench->folder);
  (void)stat(path, &status);
  (void)printf("durable  file: %.1f MB\n", (double)status.st_size / 1e6);
}

static void measure_fill(struct bench *bench) {
  open_store(bench);
  fill(bench, "durable");
  read_all(bench, "durable");
  const double closing = wall_s();
  close_store(bench);
  (void)printf("durable  close: %.2f s\n", wall_s() - closing);
}

/* The first get is the first answer of a node. */
static void measure_open(struct bench *bench) {
  const double before = resident_mb();
  const double cpu = cpu_s();
  const double wall = wall_s();
  print_file(bench);
  open_store(bench);
  (void)printf("durable  open: %.2f s, %.2f s of processor time; %zu records\n",
               wall_s() - wall, cpu_s() - cpu,
               bench->store->count(bench->store->state));
  (void)printf("durable  resident: %.0f MB\n", resident_mb() - before);
  read_all(bench, "reopened");
  close_store(bench);
}

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"records", required_argument, NULL, 'r'},
      {"folder", required_argument, NULL, 'f'},
      {"memory", no_argument, NULL, 'm'},
      {"reopen", no_argument, NULL, 'o'},
      {NULL, 0, NULL, 0},
  };
  struct bench bench = {.records = 10000};
  bool in_memory = false;
  bool is_filled = false;
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (option == 'r' &&
        number_parse(program, optarg, 1, RECORDS_MAX, &bench.records) == 0) {
      continue;
    }
    if (option == 'f') {
      bench.folder = optarg;
    } else if (option == 'm') {
      in_memory = true;
    } else if (option == 'o') {
      is_filled = true;
    } else {
      return 2;
    }
  }
  if (bench.folder == NULL && !in_memory) {
    (void)fprintf(stderr, "%s: --folder or --memory is needed\n", program);
    return 2;
  }
  if (in_memory) {
    measure_memory(&bench);
  } else {
    if (!is_filled) {
      measure_fill(&bench);
    }
    measure_open(&bench);
  }
  return 0;
}

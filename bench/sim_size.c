/* Measures a simulated overlay: processor time, memory and events.
 *
 *     build/release/bench/sim_size --nodes 10000 --seconds 3600
 *
 * Nodes join while the overlay grows; then they only maintain their tables. An
 * event is a datagram delivered or a tick of a node. Bytes are per node: the
 * largest resident memory of the process so far, and the allocated bytes. */
#define _GNU_SOURCE

#include "kadenza_sim.h"
#include "number.h"
#include "sim_overlay.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  SECONDS_MAX = 864000,
  SETTLE_S = 1200,   /* until tables are full and joins have ended */
  SIZES_MAX = 65536, /* blocks below this size are counted by size */
  BLOCKS_SHOWN = 24,
};

static const char program[] = "sim_size";

struct bench {
  struct sim_overlay overlay;
  uint32_t seconds;
  uint32_t k;
  uint32_t seed;
  bool limits;
  bool shows_blocks;
  uint64_t live_bytes;
  uint64_t blocks[SIZES_MAX]; /* allocated blocks by size; 0: larger ones */
};

/* -------------------------------------------------------------- memory -- */

static void *resize(void *state, void *old, size_t old_size, size_t new_size) {
  struct bench *bench = state;
  const struct kad_allocator plain = kad_allocator_default();
  void *block = plain.resize(plain.state, old, old_size, new_size);
  if (block != NULL || new_size == 0) {
    bench->live_bytes += new_size - old_size;
    bench->blocks[old_size < SIZES_MAX ? old_size : 0] -= old_size > 0;
    bench->blocks[new_size < SIZES_MAX ? new_size : 0] += new_size > 0;
  }
  return block;
}

/* Returns the largest resident memory of the process so far. getrusage does not
 * serve: its maximum includes that of the program that started this one. */
static double resident_bytes(void) {
  static const char field[] = "VmHWM:";
  char line[256];
  double kilobytes = 0;
  FILE *const status = fopen("/proc/self/status", "re");
  if (status == NULL) {
    return 0;
  }
  while (fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, field, sizeof field - 1) == 0) {
      kilobytes = strtod(line + sizeof field - 1, NULL);
    }
  }
  (void)fclose(status);
  return kilobytes * 1024;
}

/* Prints the block sizes with the most allocated bytes. */
static void show_blocks(struct bench *bench) {
  printf("%12s %12s %12s\n", "block bytes", "blocks", "bytes a node");
  for (int shown = 0; shown < BLOCKS_SHOWN; shown++) {
    size_t most = 0;
    for (size_t i = 1; i < SIZES_MAX; i++) {
      most = i * bench->blocks[i] > most * bench->blocks[most] ? i : most;
    }
    if (most == 0) {
      return;
    }
    printf("%12zu %12llu %12.0f\n", most,
           (unsigned long long)bench->blocks[most],
           (double)(most * bench->blocks[most]) / bench->overlay.nodes);
    bench->blocks[most] = 0;
  }
}

/* ----------------------------------------------------------- measuring -- */

/* Counters at one moment. */
struct reading {
  double processor_s;
  double clock_s;
  uint64_t datagrams; /* delivered */
  uint64_t ticks;
  uint64_t queries;
  uint64_t contacts;
};

static struct reading read_now(const struct bench *bench) {
  struct timespec spent;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  struct kad_sim_stats network;
  if (kad_sim_read_stats(bench->overlay.network, &network) != 0) {
    network = (struct kad_sim_stats){0};
  }
  struct reading reading = {
      .datagrams = network.delivered,
      .ticks = network.ticks,
      .processor_s = (double)spent.tv_sec + (double)spent.tv_nsec / 1e9,
      .clock_s = (double)kad_network_now(bench->overlay.network) /
                 SIM_OVERLAY_MS_PER_S,
  };
  for (size_t i = 0; i < bench->overlay.opened; i++) {
    struct kad_stats stats;
    kad_node_stats(bench->overlay.members[i].node, &stats);
    reading.queries += stats.queries;
    reading.contacts += stats.contacts;
  }
  return reading;
}

static const char heading[] =
    "phase    nodes  clock s   cpu s datagrams    ticks  events/s  queries/min "
    "contacts  resident   blocks\n";

static void show(const struct bench *bench, const char *what,
                 const struct reading *before, const struct reading *after) {
  const double processor_s = after->processor_s - before->processor_s;
  const double clock_s = after->clock_s - before->clock_s;
  const double datagrams = (double)(after->datagrams - before->datagrams);
  const double ticks = (double)(after->ticks - before->ticks);
  const double queries = (double)(after->queries - before->queries);
  const double nodes = bench->overlay.nodes;
  printf("%-6s %7u %8.0f %7.2f %9.0f %8.0f %9.0f %12.2f %8.1f %9.0f %8.0f\n",
         what, bench->overlay.nodes, clock_s, processor_s, datagrams, ticks,
         (datagrams + ticks) / processor_s, queries * 60 / clock_s / nodes,
         (double)after->contacts / nodes, resident_bytes() / nodes,
         (double)bench->live_bytes / nodes);
  (void)fflush(stdout);
}

static void measure(struct bench *bench) {
  fputs(heading, stdout);
  const struct reading begin = {0};
  sim_overlay_grow(&bench->overlay);
  const struct reading grown = read_now(bench);
  show(bench, "join", &begin, &grown);
  sim_overlay_run(&bench->overlay, SETTLE_S);
  const struct reading settled = read_now(bench);
  show(bench, "settle", &grown, &settled);
  sim_overlay_run(&bench->overlay, bench->seconds);
  const struct reading ended = read_now(bench);
  show(bench, "quiet", &settled, &ended);
  printf("trace %016llx\n",
         (unsigned long long)kad_network_trace_hash(bench->overlay.network));
}

/* ------------------------------------------------------------- options -- */

static const char usage[] =
    "usage: sim_size [--nodes N] [--seconds S] [--k K] [--seed SEED]\n"
    "                [--no-limits] [--blocks]\n";

static uint32_t number_of(const char *text, uint32_t low, uint32_t high) {
  uint32_t number = 0;
  if (number_parse(program, text, low, high, &number) < 0) {
    exit(2);
  }
  return number;
}

static const struct option options[] = {
    {"nodes", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 's'},
    {"k", required_argument, NULL, 'k'},
    {"seed", required_argument, NULL, 'r'},
    {"no-limits", no_argument, NULL, 'l'},
    {"blocks", no_argument, NULL, 'b'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void set_option(struct bench *bench, int option) {
  switch (option) {
  case 'n':
    bench->overlay.nodes = number_of(optarg, 2, SIM_OVERLAY_NODES_MAX);
    return;
  case 's':
    bench->seconds = number_of(optarg, 1, SECONDS_MAX);
    return;
  case 'k':
    bench->k = number_of(optarg, 1, 64);
    return;
  case 'r':
    bench->seed = number_of(optarg, 0, UINT32_MAX);
    return;
  case 'l':
    bench->limits = false;
    return;
  case 'b':
    bench->shows_blocks = true;
    return;
  case 'h':
    fputs(usage, stdout);
    exit(0);
  default:
    fputs(usage, stderr);
    exit(2);
  }
}

int main(int argc, char **argv) {
  static struct bench bench = {
      .overlay = {.program = program, .nodes = 1000},
      .seconds = 3600,
      .k = 8,
      .seed = 1,
      .limits = true,
  };
  int option = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    set_option(&bench, option);
  }
  const struct kad_allocator allocator = {.resize = resize, .state = &bench};
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = bench.seed;
  sim_overlay_init(&bench.overlay, &config, allocator);
  bench.overlay.config.k = bench.k;
  bench.overlay.config.limits = bench.limits;
  measure(&bench);
  if (bench.shows_blocks) {
    show_blocks(&bench);
  }
  sim_overlay_deinit(&bench.overlay);
  return bench.live_bytes == 0 ? 0 : 1;
}

/* Measures a simulated overlay: processor time, memory and events.
 *
 *     build/release/bench/sim_size --nodes 10000 --seconds 3600
 *
 * Nodes join through random earlier ones, the overlay growing by a share of its
 * size each second; then it is left alone. An event is a datagram delivered or
 * a node that does what is due. Bytes are a node's: what the process has had in
 * memory at most, and what is allocated. */
#define _GNU_SOURCE

#include "kadenza_sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  NODES_MAX = 1000000,
  SECONDS_MAX = 864000,
  GROWTH_S = 60,     /* in which the overlay grows e-fold */
  FIRST_STEP = 10,   /* nodes that are there when it begins to */
  SETTLE_S = 1200,   /* until tables are full and the hurry is over */
  SIZES_MAX = 65536, /* bytes of a block that is counted by its size */
  BLOCKS_SHOWN = 24,
  MS_PER_S = 1000,
  PORT = 6881,
};

/* A node to be, and then what has become of it. */
struct place {
  struct world *world;
  struct kad_node *node;
};

struct world {
  uint32_t nodes;
  uint32_t seconds;
  uint32_t k;
  uint32_t seed;
  bool limits;
  bool shows_blocks;
  struct kad_network *network;
  struct place *places;
  double next_s; /* when the next one is opened */
  size_t opened;
  size_t joined;
  uint64_t live_bytes;
  uint64_t blocks[SIZES_MAX]; /* live ones by size; 0 is for larger ones */
};

static void die(const char *what, int error) {
  fprintf(stderr, "sim_size: %s: %s\n", what, kad_error_text(error));
  exit(1);
}

/* -------------------------------------------------------------- memory -- */

static void *resize(void *state, void *old, size_t old_size, size_t new_size) {
  struct world *world = state;
  const struct kad_allocator plain = kad_allocator_default();
  void *block = plain.resize(plain.state, old, old_size, new_size);
  if (block != NULL || new_size == 0) {
    world->live_bytes += new_size - old_size;
    world->blocks[old_size < SIZES_MAX ? old_size : 0] -= old_size > 0;
    world->blocks[new_size < SIZES_MAX ? new_size : 0] += new_size > 0;
  }
  return block;
}

/* The most that the process has had in memory so far. Not from getrusage: a
 * program begins there with the most that the one had that started it. */
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

/* Shows the sizes of which there are the most bytes. */
static void show_blocks(struct world *world) {
  printf("%12s %12s %12s\n", "block bytes", "blocks", "bytes a node");
  for (int shown = 0; shown < BLOCKS_SHOWN; shown++) {
    size_t most = 0;
    for (size_t i = 1; i < SIZES_MAX; i++) {
      most = i * world->blocks[i] > most * world->blocks[most] ? i : most;
    }
    if (most == 0) {
      return;
    }
    printf("%12zu %12llu %12.0f\n", most,
           (unsigned long long)world->blocks[most],
           (double)(most * world->blocks[most]) / world->nodes);
    world->blocks[most] = 0;
  }
}

/* ------------------------------------------------------------- joining -- */

static struct kad_address address_of(size_t i) {
  return (struct kad_address){
      .family = 4,
      .port = PORT,
      .ip = {(uint8_t)(20 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i, 1},
  };
}

static void start_timer(struct world *world, kad_time_ms after,
                        void (*fire)(void *data), void *data) {
  const int error =
      kad_network_start_timer(world->network, after, fire, data, NULL);
  if (error != 0) {
    die("timer", error);
  }
}

static void join(void *data);

static void joined(void *data, const struct kad_result *result) {
  struct place *place = data;
  if (result->status == 0) {
    place->world->joined++;
  } else if (result->status != KAD_ECLOSED) {
    start_timer(place->world, MS_PER_S, join, place);
  }
}

static void join(void *data) {
  struct place *place = data;
  struct world *world = place->world;
  uint32_t number = 0;
  kad_network_random(world->network, (uint8_t *)&number, sizeof number);
  const size_t own = (size_t)(place - world->places);
  const struct kad_address host = address_of(number % own);
  const int error =
      kad_node_bootstrap(place->node, &host, 1, joined, place, NULL);
  if (error != 0) {
    die("bootstrap", error);
  }
}

static void open_next(void *data);

static void plan_next(struct world *world) {
  if (world->opened == world->nodes) {
    return;
  }
  world->next_s += (double)GROWTH_S / (double)(FIRST_STEP + world->opened);
  const kad_time_ms at = (kad_time_ms)(world->next_s * MS_PER_S);
  const kad_time_ms now = kad_network_now(world->network);
  start_timer(world, at > now ? at - now : 0, open_next, world);
}

static void open_next(void *data) {
  struct world *world = data;
  struct place *place = &world->places[world->opened];
  const struct kad_address listen = address_of(world->opened);
  struct kad_config config;
  kad_config_default(&config);
  config.k = world->k;
  config.limits = world->limits;
  place->world = world;
  const int error =
      kad_network_open_node(world->network, &config, &listen, 1, &place->node);
  if (error != 0) {
    die("node", error);
  }
  if (world->opened == 0) {
    world->joined++;
  } else {
    join(place);
  }
  world->opened++;
  plan_next(world);
}

/* ----------------------------------------------------------- measuring -- */

/* What can be read at one moment. */
struct reading {
  double processor_s;
  double clock_s;
  uint64_t datagrams; /* delivered */
  uint64_t ticks;
  uint64_t queries;
  uint64_t contacts;
};

static struct reading read_now(const struct world *world) {
  struct timespec spent;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  struct kad_sim_stats network;
  if (kad_sim_read_stats(world->network, &network) != 0) {
    network = (struct kad_sim_stats){0};
  }
  struct reading reading = {
      .datagrams = network.delivered,
      .ticks = network.ticks,
      .processor_s = (double)spent.tv_sec + (double)spent.tv_nsec / 1e9,
      .clock_s = (double)kad_network_now(world->network) / MS_PER_S,
  };
  for (size_t i = 0; i < world->opened; i++) {
    struct kad_stats stats;
    kad_node_stats(world->places[i].node, &stats);
    reading.queries += stats.queries;
    reading.contacts += stats.contacts;
  }
  return reading;
}

static const char heading[] =
    "phase    nodes  clock s   cpu s datagrams    ticks  events/s  queries/min "
    "contacts  resident   blocks\n";

static void show(const struct world *world, const char *what,
                 const struct reading *before, const struct reading *after) {
  const double processor_s = after->processor_s - before->processor_s;
  const double clock_s = after->clock_s - before->clock_s;
  const double datagrams = (double)(after->datagrams - before->datagrams);
  const double ticks = (double)(after->ticks - before->ticks);
  const double queries = (double)(after->queries - before->queries);
  const double nodes = world->nodes;
  printf("%-6s %7u %8.0f %7.2f %9.0f %8.0f %9.0f %12.2f %8.1f %9.0f %8.0f\n",
         what, world->nodes, clock_s, processor_s, datagrams, ticks,
         (datagrams + ticks) / processor_s, queries * 60 / clock_s / nodes,
         (double)after->contacts / nodes, resident_bytes() / nodes,
         (double)world->live_bytes / nodes);
  (void)fflush(stdout);
}

static void measure(struct world *world) {
  fputs(heading, stdout);
  const struct reading begin = {0};
  plan_next(world);
  while (world->joined < world->nodes) {
    kad_network_run(world->network, MS_PER_S);
  }
  const struct reading grown = read_now(world);
  show(world, "join", &begin, &grown);
  kad_network_run(world->network, (kad_time_ms)SETTLE_S * MS_PER_S);
  const struct reading settled = read_now(world);
  show(world, "settle", &grown, &settled);
  kad_network_run(world->network, (kad_time_ms)world->seconds * MS_PER_S);
  const struct reading ended = read_now(world);
  show(world, "quiet", &settled, &ended);
  printf("trace %016llx\n",
         (unsigned long long)kad_network_trace_hash(world->network));
}

/* ------------------------------------------------------------- options -- */

static const char usage[] =
    "usage: sim_size [--nodes N] [--seconds S] [--k K] [--seed SEED]\n"
    "                [--no-limits] [--blocks]\n";

static uint32_t number_of(const char *text, uint32_t low, uint32_t high) {
  char *end = NULL;
  const unsigned long number = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || *text == '-' || number < low ||
      number > high) {
    fprintf(stderr, "sim_size: %s: not a number from %u to %u\n", text, low,
            high);
    exit(2);
  }
  return (uint32_t)number;
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

static void take(struct world *world, int option) {
  switch (option) {
  case 'n':
    world->nodes = number_of(optarg, 2, NODES_MAX);
    return;
  case 's':
    world->seconds = number_of(optarg, 1, SECONDS_MAX);
    return;
  case 'k':
    world->k = number_of(optarg, 1, 64);
    return;
  case 'r':
    world->seed = number_of(optarg, 0, UINT32_MAX);
    return;
  case 'l':
    world->limits = false;
    return;
  case 'b':
    world->shows_blocks = true;
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
  static struct world world = {
      .nodes = 1000, .seconds = 3600, .k = 8, .seed = 1, .limits = true};
  int option = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    take(&world, option);
  }
  world.places = calloc(world.nodes, sizeof *world.places);
  if (world.places == NULL) {
    die("places", KAD_ENOMEM);
  }
  const struct kad_allocator allocator = {.resize = resize, .state = &world};
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = world.seed;
  const int error = kad_network_sim_new(&config, allocator, &world.network);
  if (error != 0) {
    die("network", error);
  }
  measure(&world);
  if (world.shows_blocks) {
    show_blocks(&world);
  }
  kad_network_free(world.network);
  free(world.places);
  return world.live_bytes == 0 ? 0 : 1;
}

/* Measures gets in a simulated overlay: how long the first value takes, over
 * how many hops, and how many queries are sent for it.
 *
 *     build/release/bench/sim_lookup --nodes 10000 --dead 5
 *
 * Nodes join through random earlier ones; values are put, each at its k
 * closest; a share of the nodes vanishes; then random nodes get random values
 * with a quorum of one. Round-trip times are those of Jimenez and others 2011.
 */
#define _GNU_SOURCE

#include "kadenza_sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  NODES_MAX = 1000000,
  GROWTH_S = 60,   /* in which the overlay grows e-fold */
  FIRST_STEP = 10, /* nodes that are there when it begins to */
  PUT_MS = 100,    /* from one put to the next */
  CALM_S = 60,     /* after the last */
  SPAN_S = 60,     /* in which the gets begin */
  HOPS_MAX = 32,
  MS_PER_S = 1000,
  PORT = 6881,
};

struct place {
  struct world *world;
  struct kad_node *node; /* NULL: gone */
};

struct world {
  uint32_t nodes;
  uint32_t seed;
  uint32_t settle_s;
  uint32_t values;
  uint32_t gets;
  uint32_t dead; /* per cent */
  uint32_t k;
  uint32_t far_contacts;
  struct kad_lookup_options options;
  struct kad_network *network;
  struct place *places;
  double next_s; /* when the next node is opened */
  size_t opened;
  size_t joined;
  size_t stored; /* copies */
  size_t puts;
  size_t started;
  size_t ended;
  size_t found;
  size_t own; /* found where it was asked for */
  uint32_t *times_ms;
  uint32_t *messages;
  size_t hops[HOPS_MAX];
};

static void die(const char *what, int error) {
  fprintf(stderr, "sim_lookup: %s: %s\n", what, kad_error_text(error));
  exit(1);
}

static uint32_t draw(struct world *world, uint32_t bound) {
  uint32_t number = 0;
  kad_network_random(world->network, (uint8_t *)&number, sizeof number);
  return number % bound;
}

static void start_timer(struct world *world, kad_time_ms after,
                        void (*fire)(void *data), void *data) {
  const int error =
      kad_network_start_timer(world->network, after, fire, data, NULL);
  if (error != 0) {
    die("timer", error);
  }
}

static struct kad_node *draw_node(struct world *world) {
  struct place *place;
  do {
    place = &world->places[draw(world, world->nodes)];
  } while (place->node == NULL);
  return place->node;
}

/* ------------------------------------------------------------- joining -- */

static struct kad_address address_of(size_t i) {
  return (struct kad_address){
      .family = 4,
      .port = PORT,
      .ip = {(uint8_t)(20 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i, 1},
  };
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
  const uint32_t own = (uint32_t)(place - place->world->places);
  const struct kad_address host = address_of(draw(place->world, own));
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
  config.far_contacts = world->far_contacts;
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

static void run_s(struct world *world, uint32_t span_s) {
  kad_network_run(world->network, (kad_time_ms)span_s * MS_PER_S);
}

static void grow(struct world *world) {
  plan_next(world);
  while (world->joined < world->nodes) {
    run_s(world, 1);
  }
  run_s(world, world->settle_s);
}

/* ------------------------------------------------------------- storing -- */

static struct kad_id key_of(uint32_t number) {
  struct kad_id key = {.bytes = {0}};
  uint64_t mixed = number;
  for (size_t i = 0; i < 20; i++) {
    mixed = (mixed ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
    mixed ^= mixed >> 33;
    key.bytes[i] = (uint8_t)(mixed >> 24);
  }
  return key;
}

static void stored(void *data, const struct kad_result *result) {
  struct world *world = data;
  world->stored += result->stored;
  world->puts++;
}

static void put_values(struct world *world) {
  for (uint32_t i = 0; i < world->values; i++) {
    const struct kad_record record = {
        .key = key_of(i),
        .type = {(const uint8_t *)"value", 5},
        .value = {(const uint8_t *)"a value", 7},
    };
    const int error =
        kad_node_put(draw_node(world), &record, NULL, stored, world, NULL);
    if (error != 0) {
      die("put", error);
    }
    kad_network_run(world->network, PUT_MS);
  }
  while (world->puts < world->values) {
    run_s(world, 1);
  }
  run_s(world, CALM_S);
}

static void kill_some(struct world *world) {
  const uint32_t count = (uint32_t)((uint64_t)world->nodes * world->dead / 100);
  for (uint32_t i = 0; i < count; i++) {
    struct kad_node *node = draw_node(world);
    size_t at = 0;
    while (world->places[at].node != node) {
      at++;
    }
    kad_network_close_node(world->network, node);
    world->places[at].node = NULL;
  }
}

/* ------------------------------------------------------------- getting -- */

static void got(void *data, const struct kad_result *result) {
  struct world *world = data;
  world->ended++;
  if (result->status != 0 || result->messages == 0) {
    world->own += result->status == 0;
    return;
  }
  world->times_ms[world->found] = result->took_ms;
  world->messages[world->found] = result->messages;
  world->found++;
  world->hops[result->hops < HOPS_MAX ? result->hops : HOPS_MAX - 1]++;
}

static void get_values(struct world *world) {
  for (uint32_t i = 0; i < world->gets; i++) {
    const struct kad_id key = key_of(draw(world, world->values));
    const int error = kad_node_get(
        draw_node(world), &key, (struct kad_slice){(const uint8_t *)"value", 5},
        &world->options, got, world, NULL);
    if (error != 0) {
      die("get", error);
    }
    kad_network_run(world->network,
                    (kad_time_ms)SPAN_S * MS_PER_S / world->gets);
  }
  while (world->ended < world->gets) {
    run_s(world, 1);
  }
}

static int compare(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a;
  const uint32_t y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t share_of(const uint32_t *sorted, size_t count, size_t percent) {
  return count > 0 ? sorted[(count - 1) * percent / 100] : 0;
}

static void show(const struct world *world) {
  uint64_t messages = 0;
  uint64_t hops = 0;
  for (size_t i = 0; i < world->found; i++) {
    messages += world->messages[i];
  }
  for (size_t i = 0; i < HOPS_MAX; i++) {
    hops += i * world->hops[i];
  }
  qsort(world->times_ms, world->found, sizeof *world->times_ms, compare);
  const double found = world->found > 0 ? (double)world->found : 1;
  const double asked = (double)(world->gets - world->own);
  uint64_t contacts = 0;
  uint32_t living = 0;
  for (uint32_t i = 0; i < world->nodes; i++) {
    struct kad_stats stats;
    if (world->places[i].node != NULL) {
      kad_node_stats(world->places[i].node, &stats);
      contacts += stats.contacts;
      living++;
    }
  }
  printf("%7s %8s %6s %6s %6s %6s %6s %6s %6s %8s\n", "nodes", "found %",
         "median", "75 %", "90 %", "98 %", "99 %", "msgs", "hops", "contacts");
  printf("%7u %8.2f %6u %6u %6u %6u %6u %6.2f %6.2f %8.1f\n", world->nodes,
         100 * (double)world->found / asked,
         share_of(world->times_ms, world->found, 50),
         share_of(world->times_ms, world->found, 75),
         share_of(world->times_ms, world->found, 90),
         share_of(world->times_ms, world->found, 98),
         share_of(world->times_ms, world->found, 99), (double)messages / found,
         (double)hops / found, (double)contacts / living);
}

/* ------------------------------------------------------------- options -- */

static const char usage[] =
    "usage: sim_lookup [--nodes N] [--seed SEED] [--settle S] [--values N]\n"
    "                  [--gets N] [--dead PERCENT] [--k K] [--alpha N]\n"
    "                  [--beta N] [--paths N] [--far N]\n";

static uint32_t number_of(const char *text, uint32_t low, uint32_t high) {
  char *end = NULL;
  const unsigned long number = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || *text == '-' || number < low ||
      number > high) {
    fprintf(stderr, "sim_lookup: %s: not a number from %u to %u\n", text, low,
            high);
    exit(2);
  }
  return (uint32_t)number;
}

static const struct option options[] = {
    {"nodes", required_argument, NULL, 'n'},
    {"seed", required_argument, NULL, 'r'},
    {"settle", required_argument, NULL, 's'},
    {"values", required_argument, NULL, 'v'},
    {"gets", required_argument, NULL, 'g'},
    {"dead", required_argument, NULL, 'd'},
    {"k", required_argument, NULL, 'k'},
    {"alpha", required_argument, NULL, 'a'},
    {"beta", required_argument, NULL, 'b'},
    {"paths", required_argument, NULL, 'p'},
    {"far", required_argument, NULL, 'f'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void take(struct world *world, int option) {
  switch (option) {
  case 'n':
    world->nodes = number_of(optarg, 2, NODES_MAX);
    return;
  case 'r':
    world->seed = number_of(optarg, 0, UINT32_MAX);
    return;
  case 's':
    world->settle_s = number_of(optarg, 0, UINT32_MAX);
    return;
  case 'v':
    world->values = number_of(optarg, 1, UINT32_MAX);
    return;
  case 'g':
    world->gets = number_of(optarg, 1, UINT32_MAX);
    return;
  case 'd':
    world->dead = number_of(optarg, 0, 90);
    return;
  case 'k':
    world->k = number_of(optarg, 1, 64);
    return;
  case 'a':
    world->options.alpha = number_of(optarg, 1, 32);
    return;
  case 'b':
    world->options.beta = number_of(optarg, 1, 32);
    return;
  case 'f':
    world->far_contacts = number_of(optarg, 0, 128);
    return;
  case 'p':
    world->options.paths = number_of(optarg, 1, 16);
    return;
  case 'h':
    fputs(usage, stdout);
    exit(0);
  default:
    fputs(usage, stderr);
    exit(2);
  }
}

static void *room_for(size_t count, size_t size) {
  void *room = calloc(count, size);
  if (room == NULL) {
    die("memory", KAD_ENOMEM);
  }
  return room;
}

int main(int argc, char **argv) {
  static struct world world = {
      .nodes = 1000,
      .seed = 1,
      .settle_s = 1200,
      .values = 200,
      .gets = 2000,
      .dead = 5,
      .k = 8,
      .far_contacts = 64,
      .options = {.quorum = 1},
  };
  int option = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    take(&world, option);
  }
  world.places = room_for(world.nodes, sizeof *world.places);
  world.times_ms = room_for(world.gets, sizeof *world.times_ms);
  world.messages = room_for(world.gets, sizeof *world.messages);
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = world.seed;
  config.latency = KAD_SIM_LATENCY_JIMENEZ;
  const int error =
      kad_network_sim_new(&config, kad_allocator_default(), &world.network);
  if (error != 0) {
    die("network", error);
  }
  grow(&world);
  put_values(&world);
  kill_some(&world);
  get_values(&world);
  show(&world);
  kad_network_free(world.network);
  free(world.places);
  free(world.times_ms);
  free(world.messages);
  return 0;
}

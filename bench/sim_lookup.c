/* Measures gets in a simulated overlay: the time until the first value, the
 * hops to it, and the queries that are sent for it.
 *
 *     build/release/bench/sim_lookup --nodes 10000 --dead 5
 *
 * Nodes join while the overlay grows. Values are stored, each at its k closest
 * nodes. A share of the nodes closes. Then random nodes get random values with
 * a quorum of one. Round-trip times are those of Jimenez and others 2011. */
#define _GNU_SOURCE

#include "kadenza_sim.h"
#include "number.h"
#include "sim_overlay.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  PUT_MS = 100, /* from one put to the next */
  CALM_S = 60,  /* after the last put */
  SPAN_S = 60,  /* in which the gets begin */
  HOPS_MAX = 32,
};

static const char program[] = "sim_lookup";

struct bench {
  struct sim_overlay overlay;
  uint32_t seed;
  uint32_t settle_s;
  uint32_t values;
  uint32_t gets;
  uint32_t dead; /* per cent */
  uint32_t k;
  uint32_t far_contacts;
  struct kad_lookup_options options;
  size_t stored; /* copies */
  size_t puts;   /* that have ended */
  size_t ended;  /* gets that have ended */
  size_t found;  /* gets that found a value at other nodes */
  size_t own;    /* gets that found a value at their own node */
  uint32_t *times_ms;
  uint32_t *messages;
  size_t hops[HOPS_MAX];
};

static struct sim_overlay_node *draw_member(struct bench *bench) {
  struct sim_overlay *overlay = &bench->overlay;
  struct sim_overlay_node *member;
  do {
    member = &overlay->members[sim_overlay_draw(overlay, overlay->nodes)];
  } while (member->node == NULL);
  return member;
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

static void on_put(void *data, const struct kad_result *result) {
  struct bench *bench = data;
  bench->stored += result->stored;
  bench->puts++;
}

static void put_values(struct bench *bench) {
  for (uint32_t i = 0; i < bench->values; i++) {
    const struct kad_record record = {
        .key = key_of(i),
        .type = {(const uint8_t *)"value", 5},
        .value = {(const uint8_t *)"a value", 7},
    };
    sim_overlay_check(&bench->overlay, "put",
                      kad_node_put(draw_member(bench)->node, &record, NULL,
                                   on_put, bench, NULL));
    kad_network_run(bench->overlay.network, PUT_MS);
  }
  while (bench->puts < bench->values) {
    sim_overlay_run(&bench->overlay, 1);
  }
  sim_overlay_run(&bench->overlay, CALM_S);
}

static void close_dead(struct bench *bench) {
  const uint32_t count =
      (uint32_t)((uint64_t)bench->overlay.nodes * bench->dead / 100);
  for (uint32_t i = 0; i < count; i++) {
    struct sim_overlay_node *member = draw_member(bench);
    kad_network_close_node(bench->overlay.network, member->node);
    member->node = NULL;
  }
}

/* ------------------------------------------------------------- getting -- */

static void on_get(void *data, const struct kad_result *result) {
  struct bench *bench = data;
  bench->ended++;
  if (result->status != 0 || result->messages == 0) {
    bench->own += result->status == 0;
    return;
  }
  bench->times_ms[bench->found] = result->took_ms;
  bench->messages[bench->found] = result->messages;
  bench->found++;
  bench->hops[result->hops < HOPS_MAX ? result->hops : HOPS_MAX - 1]++;
}

static void get_values(struct bench *bench) {
  for (uint32_t i = 0; i < bench->gets; i++) {
    const struct kad_id key =
        key_of(sim_overlay_draw(&bench->overlay, bench->values));
    sim_overlay_check(
        &bench->overlay, "get",
        kad_node_get(draw_member(bench)->node, &key,
                     (struct kad_slice){(const uint8_t *)"value", 5},
                     &bench->options, on_get, bench, NULL));
    kad_network_run(bench->overlay.network,
                    (kad_time_ms)SPAN_S * SIM_OVERLAY_MS_PER_S / bench->gets);
  }
  while (bench->ended < bench->gets) {
    sim_overlay_run(&bench->overlay, 1);
  }
}

static int compare(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a;
  const uint32_t y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t percentile(const uint32_t *sorted, size_t count,
                           size_t percent) {
  return count > 0 ? sorted[(count - 1) * percent / 100] : 0;
}

static void show(const struct bench *bench) {
  uint64_t messages = 0;
  uint64_t hops = 0;
  for (size_t i = 0; i < bench->found; i++) {
    messages += bench->messages[i];
  }
  for (size_t i = 0; i < HOPS_MAX; i++) {
    hops += i * bench->hops[i];
  }
  qsort(bench->times_ms, bench->found, sizeof *bench->times_ms, compare);
  const double found = bench->found > 0 ? (double)bench->found : 1;
  const double asked = (double)(bench->gets - bench->own);
  uint64_t contacts = 0;
  uint32_t living = 0;
  for (uint32_t i = 0; i < bench->overlay.nodes; i++) {
    struct kad_stats stats;
    if (bench->overlay.members[i].node != NULL) {
      kad_node_stats(bench->overlay.members[i].node, &stats);
      contacts += stats.contacts;
      living++;
    }
  }
  printf("%7s %8s %6s %6s %6s %6s %6s %6s %6s %8s\n", "nodes", "found %",
         "median", "75 %", "90 %", "98 %", "99 %", "msgs", "hops", "contacts");
  printf("%7u %8.2f %6u %6u %6u %6u %6u %6.2f %6.2f %8.1f\n",
         bench->overlay.nodes, 100 * (double)bench->found / asked,
         percentile(bench->times_ms, bench->found, 50),
         percentile(bench->times_ms, bench->found, 75),
         percentile(bench->times_ms, bench->found, 90),
         percentile(bench->times_ms, bench->found, 98),
         percentile(bench->times_ms, bench->found, 99),
         (double)messages / found, (double)hops / found,
         (double)contacts / living);
}

/* ------------------------------------------------------------- options -- */

static const char usage[] =
    "usage: sim_lookup [--nodes N] [--seed SEED] [--settle S] [--values N]\n"
    "                  [--gets N] [--dead PERCENT] [--k K] [--alpha N]\n"
    "                  [--beta N] [--paths N] [--far N]\n";

static uint32_t number_of(const char *text, uint32_t low, uint32_t high) {
  uint32_t number = 0;
  if (number_parse(program, text, low, high, &number) < 0) {
    exit(2);
  }
  return number;
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

static void set_option(struct bench *bench, int option) {
  switch (option) {
  case 'n':
    bench->overlay.nodes = number_of(optarg, 2, SIM_OVERLAY_NODES_MAX);
    return;
  case 'r':
    bench->seed = number_of(optarg, 0, UINT32_MAX);
    return;
  case 's':
    bench->settle_s = number_of(optarg, 0, UINT32_MAX);
    return;
  case 'v':
    bench->values = number_of(optarg, 1, UINT32_MAX);
    return;
  case 'g':
    bench->gets = number_of(optarg, 1, UINT32_MAX);
    return;
  case 'd':
    bench->dead = number_of(optarg, 0, 90);
    return;
  case 'k':
    bench->k = number_of(optarg, 1, 64);
    return;
  case 'a':
    bench->options.alpha = number_of(optarg, 1, 32);
    return;
  case 'b':
    bench->options.beta = number_of(optarg, 1, 32);
    return;
  case 'f':
    bench->far_contacts = number_of(optarg, 0, 128);
    return;
  case 'p':
    bench->options.paths = number_of(optarg, 1, 16);
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
      .seed = 1,
      .settle_s = 1200,
      .values = 200,
      .gets = 2000,
      .dead = 5,
      .k = 8,
      .far_contacts = 64,
      .options = {.quorum = 1},
  };
  struct sim_overlay *overlay = &bench.overlay;
  int option = 0;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    set_option(&bench, option);
  }
  bench.times_ms =
      sim_overlay_alloc(overlay, bench.gets, sizeof *bench.times_ms);
  bench.messages =
      sim_overlay_alloc(overlay, bench.gets, sizeof *bench.messages);
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = bench.seed;
  config.latency = KAD_SIM_LATENCY_JIMENEZ;
  sim_overlay_init(overlay, &config, kad_allocator_default());
  overlay->config.k = bench.k;
  overlay->config.far_contacts = bench.far_contacts;
  sim_overlay_grow(overlay);
  sim_overlay_run(overlay, bench.settle_s);
  put_values(&bench);
  close_dead(&bench);
  get_values(&bench);
  show(&bench);
  sim_overlay_deinit(overlay);
  free(bench.times_ms);
  free(bench.messages);
  return 0;
}

/* A closed-loop load generator for Kademlia nodes that speak KRPC.
 *
 * `load --help` lists its options; README.md describes the measurements. */
#define _GNU_SOURCE

#include "generator.h"
#include "load_options.h"
#include "report.h"
#include "swarm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  EXIT_FAILED = 1,
  EXIT_MISUSE = 2,
  HOLD_LIMIT_MS = 3600000,
};

static volatile sig_atomic_t stopping;

static void request_stop(int number) {
  (void)number;
  stopping = 1;
}

static int generate(const struct load_options *options) {
  struct generator *generator = calloc(1, sizeof(*generator));
  if (generator == NULL || generator_init(generator, &options->generator) < 0) {
    return EXIT_FAILED; /* the process ends and frees everything */
  }
  struct generator_tally warm_up =
      generator_warm_up(generator, options->limit_ms);
  struct generator_tally measured = generator_measure(generator);
  if (options->json) {
    report_json(&options->generator, &warm_up, &measured);
  } else {
    report_text(&options->generator, &warm_up, &measured);
  }
  generator_deinit(generator);
  free(generator);
  return measured.replies > 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

static int fill(struct load_options *options) {
  const struct sockaddr_in *server = &options->generator.server;
  if (!options->knows_id && swarm_learn_id(server, options->server_id) < 0) {
    fputs("load: the server does not answer a ping\n", stderr);
    return EXIT_FAILED;
  }
  struct swarm swarm;
  if (swarm_init(&swarm, server, options->server_id, options->fill) < 0) {
    swarm_deinit(&swarm);
    return EXIT_FAILED;
  }
  size_t queried = swarm_fill(&swarm, options->limit_ms);
  printf("load: the server has queried %zu of %u nodes\n", queried,
         options->fill);
  fflush(stdout);
  swarm_hold(&swarm, HOLD_LIMIT_MS, &stopping);
  swarm_deinit(&swarm);
  return queried > 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

int main(int argc, char **argv) {
  struct load_options options;
  if (load_options_parse(argc, argv, &options) < 0) {
    fputs("load: --help lists the options\n", stderr);
    return EXIT_MISUSE;
  }
  if (options.help) {
    return EXIT_SUCCESS;
  }
  struct sigaction action = {.sa_handler = request_stop};
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  return options.fill > 0 ? fill(&options) : generate(&options);
}

#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include "generator.h"

#include <stdbool.h>
#include <stdint.h>

/* Options of the load generator's command line. */
struct load_options {
  struct generator_options generator;
  uint8_t server_id[KRPC_ID_BYTES];
  uint32_t fill; /* nodes, or 0 to generate load */
  uint32_t limit_ms;
  bool knows_id;
  bool json;
  bool help; /* --help was given; the usage is printed */
};

/* Reads the command line. `options` borrows from `argv`.
 *
 * Returns 0, or -1 after a message to standard error. */
int load_options_parse(int argc, char **argv, struct load_options *options);

#endif

#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "generator.h"

/* Prints what was measured as a few lines for people. */
void report_text(const struct generator_options *options,
                 const struct generator_tally *warm_up,
                 const struct generator_tally *measured);

/* Prints the same as one line of JSON. Times are in microseconds. */
void report_json(const struct generator_options *options,
                 const struct generator_tally *warm_up,
                 const struct generator_tally *measured);

#endif

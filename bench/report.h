#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "generator.h"

/* Prints the figures as text. */
void report_text(const struct generator_options *options,
                 const struct generator_tally *warm_up,
                 const struct generator_tally *measured);

/* Prints the figures as one line of JSON. Times are in microseconds. */
void report_json(const struct generator_options *options,
                 const struct generator_tally *warm_up,
                 const struct generator_tally *measured);

#endif

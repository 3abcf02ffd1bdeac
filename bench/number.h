#ifndef BENCH_NUMBER_H
#define BENCH_NUMBER_H

#include <stdint.h>

/* Reads a decimal number from `low` to `high` of the command line of `program`.
 *
 * Returns 0, or -1 after a message to standard error. */
int number_parse(const char *program, const char *text, uint32_t low,
                 uint32_t high, uint32_t *out);

#endif

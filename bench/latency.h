#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

enum {
  /* Buckets an octave: a percentile is off by at most 1 part in 64. */
  LATENCY_STEPS = 64,
  LATENCY_OCTAVES = 32,
};

/* A histogram of durations with a bounded relative error. Empty when zeroed. */
struct latency {
  uint64_t counts[LATENCY_OCTAVES * LATENCY_STEPS];
  uint64_t total;
};

/* Counts one duration. Units: ns; durations above 70 s count as 70 s. */
void latency_add(struct latency *latency, uint64_t duration_ns);

/* Returns the duration that `fraction` of the counted durations do not exceed,
 * or 0 when none was counted. Units: ns. Range: `fraction` 0 to 1. */
uint64_t latency_quantile(const struct latency *latency, double fraction);

#endif

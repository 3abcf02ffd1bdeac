#include "latency.h"

#include <stddef.h>

enum {
  STEP_BITS = 6,
  BUCKETS = LATENCY_OCTAVES * LATENCY_STEPS,
};

_Static_assert(1 << STEP_BITS == LATENCY_STEPS, "steps are a power of two");

/* The first octave is linear; in octave n a bucket is 2^(n-1) ns wide. */
static size_t bucket_of(uint64_t duration_ns) {
  unsigned octave = 0;
  while (duration_ns >> octave >> STEP_BITS > 1) {
    octave++;
  }
  size_t bucket = ((size_t)octave << STEP_BITS) + (duration_ns >> octave);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static uint64_t upper_end_of(size_t bucket) {
  if (bucket < LATENCY_STEPS) {
    return bucket;
  }
  size_t octave = (bucket >> STEP_BITS) - 1;
  uint64_t step = bucket - (octave << STEP_BITS);
  return ((step + 1) << octave) - 1;
}

void latency_add(struct latency *latency, uint64_t duration_ns) {
  latency->counts[bucket_of(duration_ns)]++;
  latency->total++;
}

uint64_t latency_quantile(const struct latency *latency, double fraction) {
  uint64_t rank = (uint64_t)(fraction * (double)latency->total);
  uint64_t seen = 0;
  for (size_t i = 0; i < BUCKETS; i++) {
    seen += latency->counts[i];
    if (seen > rank || (seen > 0 && seen == latency->total)) {
      return upper_end_of(i);
    }
  }
  return 0;
}

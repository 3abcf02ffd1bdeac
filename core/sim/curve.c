/* The mathematical functions here use sums and products only: those of the C
 * library may differ in the last bit from system to system, and a seed must
 * give the same run on all.
 *
 * Tested by tests/unit/sim/link_test.c. */
#include "sim/curve.h"

/* Jimenez, Osmani, Knutsson: "Sub-Second Lookups on a Large-Scale
 * Kademlia-Based Overlay" (2011): from a node to others. */
static const struct kad_sim_quantile jimenez[] = {
    {0.5, 175}, {0.75, 344}, {0.98, 1094}};

static const double least_share = 0.0001;
static const double longest_ms = 3600000;

/* Returns e to the power of `x`. */
static double exp_of(double x) {
  unsigned halved = 0;
  while (x > 0.125 || x < -0.125) {
    x /= 2;
    halved++;
  }
  double sum = 1;
  double term = 1;
  for (unsigned i = 1; i <= 12; i++) {
    term *= x / i;
    sum += term;
  }
  for (; halved > 0; halved--) {
    sum *= sum;
  }
  return sum;
}

/* Returns the natural logarithm of a positive number. */
static double log_of(double x) {
  double sum = 0;
  while (x > 1.5) {
    x /= 2;
    sum += 0.6931471805599453;
  }
  while (x < 0.75) {
    x *= 2;
    sum -= 0.6931471805599453;
  }
  const double t = (x - 1) / (x + 1);
  double power = 2 * t;
  for (unsigned i = 1; i <= 25; i += 2) {
    sum += power / i;
    power *= t * t;
  }
  return sum;
}

/* Returns the share of a normal distribution below `z`, for |z| < 6. */
static double normal_below(double z) {
  double term = z;
  double sum = z;
  for (unsigned i = 3; i < 201 && term * term > 1e-30; i += 2) {
    term *= z * z / i;
    sum += term;
  }
  return 0.5 + sum * 0.3989422804014327 * exp_of(-z * z / 2);
}

/* Returns the `z` below which `share` of a normal distribution lies. */
static double normal_at(double share) {
  double low = -5;
  double high = 5;
  for (unsigned i = 0; i < 36; i++) {
    const double middle = (low + high) / 2;
    if (normal_below(middle) < share) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/* Clamps `share` so that its `z` is finite. */
static double clamp_share(double share) {
  return share < least_share       ? least_share
         : share > 1 - least_share ? 1 - least_share
                                   : share;
}

/* Quantiles on the scale where a log-normal distribution is a straight line. */
struct scaled {
  double z[KAD_SIM_QUANTILES_MAX];
  double log_ms[KAD_SIM_QUANTILES_MAX];
  size_t count;
};

static void scale(const struct kad_sim_quantile *lines, size_t count,
                  struct scaled *scaled) {
  scaled->count = count;
  for (size_t i = 0; i < count; i++) {
    scaled->z[i] = normal_at(clamp_share(lines[i].share));
    scaled->log_ms[i] = log_of(lines[i].rtt_ms);
  }
}

/* Returns the round-trip time at `z`, in µs. */
static uint32_t rtt_at(const struct scaled *scaled, double z) {
  size_t i = 0;
  while (i + 2 < scaled->count && z > scaled->z[i + 1]) {
    i++;
  }
  const double slope = (scaled->log_ms[i + 1] - scaled->log_ms[i]) /
                       (scaled->z[i + 1] - scaled->z[i]);
  const double log_ms = scaled->log_ms[i] + (z - scaled->z[i]) * slope;
  const double ms = log_ms < log_of(longest_ms) ? exp_of(log_ms) : longest_ms;
  return (uint32_t)(ms * 1000 + 0.5);
}

/* Each comparison is false for NaN. */
static bool is_quantile_valid(const struct kad_sim_quantile *line) {
  return line->share >= 0 && line->share <= 1 && line->rtt_ms > 0 &&
         line->rtt_ms <= longest_ms;
}

static bool are_quantiles_valid(const struct kad_sim_quantile *lines,
                                size_t count) {
  if (lines == NULL || count < 2 || count > KAD_SIM_QUANTILES_MAX) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!is_quantile_valid(&lines[i]) ||
        (i > 0 &&
         (clamp_share(lines[i].share) <= clamp_share(lines[i - 1].share) ||
          lines[i].rtt_ms < lines[i - 1].rtt_ms))) {
      return false;
    }
  }
  return true;
}

bool kad_sim_curve_is_valid(const struct kad_sim_config *config) {
  switch (config->latency) {
  case KAD_SIM_LATENCY_UNIFORM:
    return config->latency_min_ms <= config->latency_max_ms;
  case KAD_SIM_LATENCY_LOG_NORMAL:
    return config->rtt_median_ms > 0 && config->rtt_median_ms <= longest_ms &&
           config->rtt_sigma >= 0 && config->rtt_sigma <= 4;
  case KAD_SIM_LATENCY_QUANTILES:
    return are_quantiles_valid(config->quantiles, config->quantile_count);
  case KAD_SIM_LATENCY_JIMENEZ:
    return true;
  }
  return false;
}

void kad_sim_curve_fill(const struct kad_sim_config *config,
                        struct kad_sim_curve *curve) {
  struct scaled scaled = {.count = 0};
  if (config->latency == KAD_SIM_LATENCY_LOG_NORMAL) {
    const double log_ms = log_of(config->rtt_median_ms);
    scaled = (struct scaled){.z = {0, 1},
                             .log_ms = {log_ms, log_ms + config->rtt_sigma},
                             .count = 2};
  } else if (config->latency == KAD_SIM_LATENCY_QUANTILES) {
    scale(config->quantiles, config->quantile_count, &scaled);
  } else {
    scale(jimenez, sizeof jimenez / sizeof *jimenez, &scaled);
  }
  for (unsigned i = 0; i <= KAD_SIM_CURVE_STEPS; i++) {
    const double share = clamp_share((double)i / KAD_SIM_CURVE_STEPS);
    curve->rtt_us[i] = rtt_at(&scaled, normal_at(share));
  }
}

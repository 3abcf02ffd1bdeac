/* Curves of round-trip times: how long the share of fastest pairs takes. */
#ifndef KAD_SIM_CURVE_H
#define KAD_SIM_CURVE_H

#include "kadenza_sim.h"

enum {
  KAD_SIM_CURVE_STEPS = 1024
};

/* Round-trip times in µs by share of the pairs, in equal steps. */
struct kad_sim_curve {
  uint32_t rtt_us[KAD_SIM_CURVE_STEPS + 1];
};

/* Returns true if the latency of `config` is valid. */
bool kad_sim_curve_is_valid(const struct kad_sim_config *config);

/* Computes the curve of `config`, whose latency is valid and not
 * KAD_SIM_LATENCY_UNIFORM. */
void kad_sim_curve_fill(const struct kad_sim_config *config,
                        struct kad_sim_curve *curve);

#endif

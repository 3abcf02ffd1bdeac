/* Random numbers of the engine, drawn from env.random. */
#ifndef KAD_ENGINE_RNG_H
#define KAD_ENGINE_RNG_H

#include "kadenza.h"

/* Returns a random number below `bound` (more than 0). */
uint32_t kad_rng_below(struct kad_node *node, uint32_t bound);

/* Returns `period` with up to a tenth added or taken off at random. */
kad_time_ms kad_rng_jitter(struct kad_node *node, kad_time_ms period);

#endif

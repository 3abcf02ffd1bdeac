#include "engine/rng.h"

#include "engine/node.h"

#include <string.h>

uint32_t kad_rng_below(struct kad_node *node, uint32_t bound) {
  uint8_t bytes[4];
  uint32_t number;
  node->env.random(node->env.state, bytes, sizeof bytes);
  memcpy(&number, bytes, sizeof number);
  return (uint32_t)(((uint64_t)number * bound) >> 32);
}

kad_time_ms kad_rng_jitter(struct kad_node *node, kad_time_ms period) {
  uint32_t part = period / 5 < UINT32_MAX ? (uint32_t)(period / 5) : UINT32_MAX;
  return period - part / 2 + kad_rng_below(node, part + 1);
}

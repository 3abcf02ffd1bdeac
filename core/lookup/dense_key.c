#include "lookup/dense_key.h"

#include "lookup/network_size.h"

/* How far below its mean a normal variable is with a probability of 1/1000, in
 * standard deviations. */
static const double deviations = 3.1;

static double square_root(double number) {
  double guess = 1;
  for (int i = 0; i < 32; i++) {
    guess = (guess + number / guess) / 2;
  }
  return guess;
}

/* The distance of the k-th node, in shares of a node, has a gamma distribution.
 * Its cube root is nearly normal (Wilson and Hilferty). */
bool kad_key_is_dense(const struct kad_id *target,
                      const struct kad_id *farthest, size_t k, double size) {
  const double variance = 1 / (9 * (double)k);
  const double edge = 1 - variance - deviations * square_root(variance);
  return kad_network_size_share(target, farthest) * size <
         (double)k * edge * edge * edge;
}

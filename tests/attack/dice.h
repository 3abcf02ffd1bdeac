/* Random numbers from a seed. */
#ifndef KAD_ATTACK_DICE_H
#define KAD_ATTACK_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kad_dice {
  uint64_t state;
};

/* Returns 64 random bits. Source: SplitMix64. */
uint64_t kad_dice_next(struct kad_dice *dice);

/* Returns a number below `bound`; 0 for a bound of 0. */
uint64_t kad_dice_below(struct kad_dice *dice, uint64_t bound);

/* Returns true once in `n` times. */
bool kad_dice_one_in(struct kad_dice *dice, uint64_t n);

/* Returns a number of any size: small ones, powers of two and their
 * neighbours, and the ends of types are as probable as all others together. */
uint64_t kad_dice_number(struct kad_dice *dice);

/* Fills `out` with random bytes. */
void kad_dice_bytes(struct kad_dice *dice, uint8_t *out, size_t len);

#endif

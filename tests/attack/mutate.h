/* Changes bencoded messages as an attacker would: values of another type, keys
 * twice or missing, lengths that lie, numbers at the ends of their range, deep
 * and endless lists, cuts, and other bytes. */
#ifndef KAD_ATTACK_MUTATE_H
#define KAD_ATTACK_MUTATE_H

#include "dice.h"
#include "kadenza.h"

/* Writes the bencoded message `in` to `out` with `changes` changes on average,
 * at random values of it. What does not fit is cut. */
void kad_mutate(struct kad_dice *dice, struct kad_slice in, unsigned changes,
                struct kad_writer *out);

#endif

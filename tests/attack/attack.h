/* The frame of an attacker: a program that plays random cases against the
 * library until a check of its own, or a sanitizer, ends one.
 *
 * A case is a seed and a list of steps, each a seed of its own. All that
 * happens in a case follows from these numbers, so a case is repeated by its
 * seed, and a failing one is reduced by leaving steps out. Cases run in a child
 * process: one that crashes, hangs or leaks ends the child only. What still
 * fails with the fewest steps is written to build/attack/NAME-SEED.bin.
 *
 *     NAME_attack --seed 7 --seconds 20    cases for 20 seconds
 *     NAME_attack --seed 7 --cases 1000    or so many
 *     NAME_attack --case SEED              one case again, and what it does
 *     NAME_attack --file FILE              a reduced case
 *
 * The last line is "attack NAME: seed N, M cases, K failures". */
#ifndef KAD_ATTACK_H
#define KAD_ATTACK_H

#include "dice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An attacker. */
struct kad_attack {
  const char *name;
  size_t steps; /* of a case, at most */
  /* Begin a case, play a step of it, and end it. */
  void (*begin)(uint64_t seed);
  void (*step)(uint64_t seed);
  void (*end)(void);
};

/* Runs the attacker as its arguments say. Returns the status of the program: 1
 * if a case failed, 2 for wrong arguments. */
int kad_attack_main(const struct kad_attack *attack, int argc, char **argv);

/* Prints a line when a single case is repeated; otherwise does nothing. */
void kad_attack_show(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Prints `len` bytes as text with escapes, after `what`, in the same way. */
void kad_attack_show_bytes(const char *what, const uint8_t *bytes, size_t len);

/* Ends the case as failed, and says where and why. */
_Noreturn void kad_attack_fail(const char *file, int line, const char *why);

/* Fails the case unless `condition` is true. */
#define CHECK(condition)                               \
  do {                                                 \
    if (!(condition)) {                                \
      kad_attack_fail(__FILE__, __LINE__, #condition); \
    }                                                  \
  } while (0)

#endif

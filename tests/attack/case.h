/* A case of an attacker: its seed and the seeds of its steps; its file, and how
 * it is played in a process of its own and reduced. */
#ifndef KAD_ATTACK_CASE_H
#define KAD_ATTACK_CASE_H

#include "attack.h"

enum {
  KAD_CASE_STEPS = 1024,      /* at most */
  KAD_CASE_SECONDS = 60,      /* of processor time: a case that uses more has
                                 failed, however busy the machine is */
  KAD_CASE_HANG_SECONDS = 300 /* one that takes longer waits for nothing */
};

struct kad_case {
  uint64_t seed;
  size_t count;
  uint64_t steps[KAD_CASE_STEPS];
};

/* Makes the case of `seed`, with 1 … `attack->steps` steps. */
void kad_case_make(struct kad_case *it, const struct kad_attack *attack,
                   uint64_t seed);

/* Plays the case in this process, which ends if the case fails: by SIGPROF or
 * SIGALRM if it takes too long. */
void kad_case_play(const struct kad_case *it, const struct kad_attack *attack);

/* Plays the case in a child without output. Returns true if it fails. */
bool kad_case_fails(const struct kad_case *it, const struct kad_attack *attack);

/* Leaves out steps, as long as the case fails without them. Returns the number
 * of tries. */
size_t kad_case_reduce(struct kad_case *it, const struct kad_attack *attack);

/* Write the case to a file, or read it. Return false for another file. */
bool kad_case_write(const struct kad_case *it, const char *path);
bool kad_case_read(struct kad_case *it, const char *path);

#endif

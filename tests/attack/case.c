#define _DEFAULT_SOURCE
#include "case.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  WORD = 8,           /* bytes of a number in a file */
  REDUCE_SECONDS = 60 /* then what is left is good enough */
};

void kad_case_make(struct kad_case *it, const struct kad_attack *attack,
                   uint64_t seed) {
  struct kad_dice dice = {seed};
  size_t most = attack->steps < KAD_CASE_STEPS ? attack->steps : KAD_CASE_STEPS;
  it->seed = seed;
  it->count = 1 + kad_dice_below(&dice, most);
  for (size_t i = 0; i < it->count; i++) {
    it->steps[i] = kad_dice_next(&dice);
  }
}

/* Lets signals end this process after so many seconds; 0: no longer. */
static void limit(time_t processor_seconds, unsigned seconds) {
  struct itimerval timer = {.it_value.tv_sec = processor_seconds};
  (void)setitimer(ITIMER_PROF, &timer, NULL);
  alarm(seconds);
}

void kad_case_play(const struct kad_case *it, const struct kad_attack *attack) {
  limit(KAD_CASE_SECONDS, KAD_CASE_HANG_SECONDS);
  attack->begin(it->seed);
  for (size_t i = 0; i < it->count; i++) {
    kad_attack_show("step %zu: %llu", i + 1, (unsigned long long)it->steps[i]);
    attack->step(it->steps[i]);
  }
  attack->end();
  limit(0, 0);
}

bool kad_case_fails(const struct kad_case *it,
                    const struct kad_attack *attack) {
  (void)fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    int nowhere = open("/dev/null", O_WRONLY);
    (void)dup2(nowhere, STDOUT_FILENO);
    (void)dup2(nowhere, STDERR_FILENO);
    kad_case_play(it, attack);
    exit(0); /* and looks for leaks, with a sanitizer */
  }
  int status = -1;
  (void)waitpid(child, &status, 0);
  return status != 0;
}

/* Leaves out `width` steps from `at` if the case fails without them. */
static bool leave_out(struct kad_case *it, const struct kad_attack *attack,
                      size_t at, size_t width) {
  struct kad_case *shorter = malloc(sizeof *shorter);
  if (!shorter) {
    return false;
  }
  *shorter = *it;
  shorter->count = it->count - width;
  memmove(&shorter->steps[at], &it->steps[at + width],
          (it->count - at - width) * sizeof it->steps[0]);
  bool fails = kad_case_fails(shorter, attack);
  if (fails) {
    *it = *shorter;
  }
  free(shorter);
  return fails;
}

size_t kad_case_reduce(struct kad_case *it, const struct kad_attack *attack) {
  time_t until = time(NULL) + REDUCE_SECONDS;
  size_t tries = 0;
  for (size_t width = it->count; width > 0; width /= 2) {
    size_t at = 0;
    while (at + width <= it->count && time(NULL) < until) {
      tries++;
      at += leave_out(it, attack, at, width) ? 0 : width;
    }
  }
  return tries;
}

static void encode(uint64_t number, uint8_t out[WORD]) {
  for (int i = 0; i < WORD; i++) {
    out[i] = (uint8_t)(number >> (8 * (WORD - 1 - i)));
  }
}

static uint64_t decode(const uint8_t in[WORD]) {
  uint64_t number = 0;
  for (int i = 0; i < WORD; i++) {
    number = number << 8 | in[i];
  }
  return number;
}

bool kad_case_write(const struct kad_case *it, const char *path) {
  FILE *file = fopen(path, "wb");
  uint8_t word[WORD];
  if (!file) {
    return false;
  }
  encode(it->seed, word);
  bool written = fwrite(word, WORD, 1, file) == 1;
  for (size_t i = 0; i < it->count; i++) {
    encode(it->steps[i], word);
    written = fwrite(word, WORD, 1, file) == 1 && written;
  }
  return fclose(file) == 0 && written;
}

bool kad_case_read(struct kad_case *it, const char *path) {
  FILE *file = fopen(path, "rb");
  uint8_t word[WORD];
  if (!file) {
    return false;
  }
  bool whole = fread(word, WORD, 1, file) == 1;
  it->seed = decode(word);
  it->count = 0;
  while (whole && it->count < KAD_CASE_STEPS &&
         fread(word, WORD, 1, file) == 1) {
    it->steps[it->count++] = decode(word);
  }
  (void)fclose(file);
  return whole;
}

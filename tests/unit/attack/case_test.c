/* Cases of attackers: a failing one is reduced, written and read again.
 *
 * Tests tests/attack/case.c. */
#define _DEFAULT_SOURCE
#include "../../attack/case.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

enum {
  FIRST = 7, /* steps that fail together, in this order */
  SECOND = 41,
  STEPS = 64,
  BEGIN_FAILS = 99 /* a seed with which a case cannot begin */
};

static bool has_first;
static struct itimerval processor; /* what is left of both, in a step */
static struct itimerval wall;
static struct kad_case it;

static void begin(uint64_t seed) {
  has_first = false;
  if (seed == BEGIN_FAILS) {
    exit(1);
  }
}

static void step(uint64_t seed) {
  (void)getitimer(ITIMER_PROF, &processor);
  (void)getitimer(ITIMER_REAL, &wall);
  has_first = has_first || seed == FIRST;
  if (has_first && seed == SECOND) {
    abort();
  }
}

static void end(void) {
}

static const struct kad_attack attack = {
    .name = "test", .steps = STEPS, .begin = begin, .step = step, .end = end};

static void make_steps(void) {
  it.seed = 5;
  it.count = STEPS;
  for (size_t i = 0; i < STEPS; i++) {
    it.steps[i] = i;
  }
}

static void a_case_follows_from_its_seed(void **state) {
  static struct kad_case again;
  (void)state;
  kad_case_make(&it, &attack, 123);
  kad_case_make(&again, &attack, 123);
  assert_in_range(it.count, 1, STEPS);
  assert_int_equal(it.count, again.count);
  assert_memory_equal(it.steps, again.steps, it.count * sizeof it.steps[0]);
  kad_case_make(&again, &attack, 124);
  assert_int_not_equal(it.steps[0], again.steps[0]);
}

static void a_case_that_ends_its_process_fails(void **state) {
  (void)state;
  make_steps();
  assert_true(kad_case_fails(&it, &attack));
  it.count = SECOND; /* without the second */
  assert_false(kad_case_fails(&it, &attack));
  it.seed = BEGIN_FAILS;
  assert_true(kad_case_fails(&it, &attack));
}

/* On a busy machine a case may take long, but not much of the processor. */
static void a_case_has_less_processor_time_than_time(void **state) {
  (void)state;
  make_steps();
  it.count = 1;
  kad_case_play(&it, &attack);
  assert_in_range(processor.it_value.tv_sec, KAD_CASE_SECONDS / 2,
                  KAD_CASE_SECONDS);
  assert_in_range(wall.it_value.tv_sec, KAD_CASE_SECONDS * 2,
                  KAD_CASE_HANG_SECONDS);
  (void)getitimer(ITIMER_PROF, &processor);
  (void)getitimer(ITIMER_REAL, &wall);
  assert_int_equal(processor.it_value.tv_sec, 0);
  assert_int_equal(wall.it_value.tv_sec, 0);
}

static void only_steps_that_are_needed_are_left(void **state) {
  (void)state;
  make_steps();
  assert_in_range(kad_case_reduce(&it, &attack), 6, 200);
  assert_int_equal(it.count, 2);
  assert_int_equal(it.steps[0], FIRST);
  assert_int_equal(it.steps[1], SECOND);
}

static void a_case_is_read_as_it_was_written(void **state) {
  static struct kad_case again;
  char path[] = "/tmp/kadenza-case-XXXXXX";
  (void)state;
  make_steps();
  it.steps[3] = UINT64_MAX - 1;
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_true(kad_case_write(&it, path));
  assert_true(kad_case_read(&again, path));
  assert_int_equal(again.seed, it.seed);
  assert_int_equal(again.count, it.count);
  assert_memory_equal(it.steps, again.steps, it.count * sizeof it.steps[0]);
  assert_int_equal(remove(path), 0);
  assert_false(kad_case_read(&again, path));
  assert_false(kad_case_write(&it, "/dev/null/there/is/none"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_case_follows_from_its_seed),
      cmocka_unit_test(a_case_that_ends_its_process_fails),
      cmocka_unit_test(a_case_has_less_processor_time_than_time),
      cmocka_unit_test(only_steps_that_are_needed_are_left),
      cmocka_unit_test(a_case_is_read_as_it_was_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "engine/rng.h"

#include "lone_node.h"
#include "unit.h"

enum {
  DRAWS = 2000
};

static struct kad_lone lone;

static int open_node(void **state) {
  kad_lone_open(&lone, NULL);
  *state = &lone;
  return 0;
}

static int close_node(void **state) {
  kad_lone_close(*state);
  return 0;
}

static void numbers_are_below_the_bound_and_each_is_drawn(void **state) {
  (void)state;
  unsigned drawn[5] = {0};
  for (size_t i = 0; i < DRAWS; i++) {
    const uint32_t number = kad_rng_below(lone.node, 5);
    assert_in_range(number, 0, 4);
    drawn[number]++;
  }

  for (size_t i = 0; i < 5; i++) {
    assert_in_range(drawn[i], DRAWS / 10, DRAWS / 3);
  }
}

static void jitter_is_at_most_a_tenth(void **state) {
  (void)state;
  kad_time_ms least = KAD_TIME_NEVER;
  kad_time_ms most = 0;
  for (size_t i = 0; i < DRAWS; i++) {
    const kad_time_ms period = kad_rng_jitter(lone.node, 1000);
    assert_in_range(period, 900, 1100);
    least = period < least ? period : least;
    most = period > most ? period : most;
  }

  assert_true(least < 910);
  assert_true(most > 1090);
  assert_int_equal(kad_rng_jitter(lone.node, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(numbers_are_below_the_bound_and_each_is_drawn),
      TEST(jitter_is_at_most_a_tenth),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

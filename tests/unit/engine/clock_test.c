#include "engine/clock.h"

#include "engine/node.h"
#include "lone_node.h"
#include "unit.h"

enum {
  DAY_MS = 86400000
};

static struct kad_lone lone;
static unsigned resumes;

static void count_resume(struct kad_node *node) {
  (void)node;
  resumes++;
}

static const struct kad_events only_resumes = {.resumed = count_resume};

static int open_node(void **state) {
  resumes = 0;
  kad_lone_open(&lone, NULL);
  lone.node->events = &only_resumes;
  *state = &lone;
  return 0;
}

static int close_node(void **state) {
  kad_lone_close(*state);
  return 0;
}

static void a_late_timer_is_a_suspend_that_the_clock_leaves_out(void **state) {
  (void)state;
  const kad_time_ms next = kad_heap_next(&lone.node->timers);

  lone.now = next + DAY_MS;
  kad_clock_detect_suspend(lone.node);

  assert_int_equal(resumes, 1);
  assert_int_equal(kad_node_now(lone.node), next);
  assert_int_equal(kad_node_env_time(lone.node, next), lone.now);
  kad_clock_detect_suspend(lone.node);
  assert_int_equal(resumes, 1);
}

static void a_timer_that_is_a_little_late_is_no_suspend(void **state) {
  (void)state;
  lone.now = kad_heap_next(&lone.node->timers) + KAD_SUSPEND_MIN_MS - 1;

  kad_clock_detect_suspend(lone.node);

  assert_int_equal(resumes, 0);
  assert_int_equal(kad_node_now(lone.node), lone.now);
}

static void a_wall_clock_in_step_has_not_jumped(void **state) {
  (void)state;
  assert_false(kad_clock_wall_jumped(lone.node));
  lone.now += DAY_MS;
  assert_false(kad_clock_wall_jumped(lone.node));
}

static int64_t wall_clock_ahead(void *state) {
  return 1700000000 +
         (int64_t)((((struct kad_lone *)state)->now + KAD_SUSPEND_MIN_MS) /
                   1000);
}

static void a_wall_clock_that_gains_has_jumped_once(void **state) {
  (void)state;
  assert_false(kad_clock_wall_jumped(lone.node));
  lone.node->env.wall_clock = wall_clock_ahead;
  assert_true(kad_clock_wall_jumped(lone.node));
  assert_false(kad_clock_wall_jumped(lone.node));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_late_timer_is_a_suspend_that_the_clock_leaves_out),
      TEST(a_timer_that_is_a_little_late_is_no_suspend),
      TEST(a_wall_clock_in_step_has_not_jumped),
      TEST(a_wall_clock_that_gains_has_jumped_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "engine/timer.h"

#include "engine/node.h"
#include "lone_node.h"
#include "unit.h"

struct alarm {
  struct kad_timer timer;
  unsigned fired;
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

static void count(struct kad_node *node, struct kad_timer *timer) {
  (void)node;
  kad_container_of(timer, struct alarm, timer)->fired++;
}

static void count_and_set_again(struct kad_node *node,
                                struct kad_timer *timer) {
  count(node, timer);
  kad_timer_set(node, timer, kad_node_now(node), count_and_set_again);
}

static void a_timer_fires_once_when_it_is_due(void **state) {
  (void)state;
  struct alarm alarm = {0};
  kad_timer_set(lone.node, &alarm.timer, kad_node_now(lone.node) + 10, count);

  kad_lone_run(&lone, 9);
  assert_int_equal(alarm.fired, 0);
  kad_lone_run(&lone, 100);
  assert_int_equal(alarm.fired, 1);
}

static void a_timer_in_the_past_is_due_now(void **state) {
  (void)state;
  struct alarm alarm = {0};
  kad_timer_set(lone.node, &alarm.timer, 0, count);

  assert_int_equal(alarm.timer.deadline.at, kad_node_now(lone.node));
  kad_timer_fire_due(lone.node);
  assert_int_equal(alarm.fired, 1);
}

static void a_cancelled_timer_does_not_fire(void **state) {
  (void)state;
  struct alarm alarm = {0};
  kad_timer_set(lone.node, &alarm.timer, 0, count);
  kad_timer_cancel(lone.node, &alarm.timer);
  kad_timer_cancel(lone.node, &alarm.timer);

  kad_timer_fire_due(lone.node);
  assert_int_equal(alarm.fired, 0);
}

static void a_timer_that_sets_itself_again_fires_once_a_call(void **state) {
  (void)state;
  struct alarm first = {0};
  struct alarm second = {0};
  kad_timer_set(lone.node, &first.timer, 0, count_and_set_again);
  kad_timer_set(lone.node, &second.timer, 0, count);

  kad_timer_fire_due(lone.node);
  assert_int_equal(first.fired, 1);
  assert_int_equal(second.fired, 1);
  kad_timer_fire_due(lone.node);
  assert_int_equal(first.fired, 2);
  kad_timer_cancel(lone.node, &first.timer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_timer_fires_once_when_it_is_due),
      TEST(a_timer_in_the_past_is_due_now),
      TEST(a_cancelled_timer_does_not_fire),
      TEST(a_timer_that_sets_itself_again_fires_once_a_call),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

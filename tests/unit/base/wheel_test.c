#include "base/wheel.h"

#include "counting_allocator.h"
#include "unit.h"

enum {
  MANY = 500,
  STEPS = 200000
};

struct wheels {
  struct kad_counting_allocator counting;
  struct kad_wheel wheel;
  struct kad_deadline deadlines[MANY];
};

static int begin(void **state) {
  static struct wheels it;
  it = (struct wheels){0};
  kad_counting_init(&it.counting);
  kad_wheel_init(&it.wheel, &it.counting.allocator);
  *state = &it;
  return 0;
}

static int end(void **state) {
  struct wheels *it = *state;
  kad_wheel_deinit(&it->wheel);
  kad_counting_deinit(&it->counting);
  return 0;
}

/* Adds enough far deadlines to make a ring. */
static void make_ring(struct wheels *it) {
  for (size_t i = 0; i <= KAD_WHEEL_FEW; i++) {
    kad_wheel_add(&it->wheel, &it->deadlines[MANY - 1 - i], KAD_TIME_NEVER);
  }
  assert_non_null(it->wheel.ring);
}

static void few_deadlines_allocate_nothing(void **state) {
  struct wheels *it = *state;
  for (size_t i = 0; i < KAD_WHEEL_FEW; i++) {
    kad_wheel_add(&it->wheel, &it->deadlines[i], i);
  }

  assert_int_equal(it->counting.requests, 0);
  assert_int_equal(kad_wheel_next(&it->wheel), 0);
}

static void equal_deadlines_come_in_the_order_of_addition(void **state) {
  struct wheels *it = *state;
  make_ring(it);
  for (size_t i = 0; i < 100; i++) {
    kad_wheel_add(&it->wheel, &it->deadlines[i * 37 % 100], 5);
  }

  for (size_t i = 0; i < 100; i++) {
    assert_ptr_equal(kad_wheel_pop_due(&it->wheel, 5),
                     &it->deadlines[i * 37 % 100]);
  }
  assert_null(kad_wheel_pop_due(&it->wheel, 5));
}

static void deadlines_of_the_heap_precede_later_additions(void **state) {
  struct wheels *it = *state;
  const kad_time_ms at = 2 * KAD_WHEEL_SLOTS;
  make_ring(it);
  kad_wheel_add(&it->wheel, &it->deadlines[0], at);
  assert_null(kad_wheel_pop_due(&it->wheel, at - 1));
  kad_wheel_add(&it->wheel, &it->deadlines[1], at);

  assert_ptr_equal(kad_wheel_pop_due(&it->wheel, at), &it->deadlines[0]);
  assert_ptr_equal(kad_wheel_pop_due(&it->wheel, at), &it->deadlines[1]);
}

static void late_deadlines_come_first(void **state) {
  struct wheels *it = *state;
  make_ring(it);
  assert_null(kad_wheel_pop_due(&it->wheel, 1000));
  kad_wheel_add(&it->wheel, &it->deadlines[0], 1000);
  kad_wheel_add(&it->wheel, &it->deadlines[1], 999);
  kad_wheel_add(&it->wheel, &it->deadlines[2], 1);

  assert_int_equal(kad_wheel_next(&it->wheel), 1);
  assert_ptr_equal(kad_wheel_pop_due(&it->wheel, 1000), &it->deadlines[2]);
  assert_ptr_equal(kad_wheel_pop_due(&it->wheel, 1000), &it->deadlines[1]);
  assert_ptr_equal(kad_wheel_pop_due(&it->wheel, 1000), &it->deadlines[0]);
}

static void without_memory_the_heap_is_used(void **state) {
  struct wheels *it = *state;
  for (size_t i = 0; i < 2UL * KAD_WHEEL_FEW; i++) {
    kad_counting_fail_at(&it->counting, 0);
    kad_wheel_add(&it->wheel, &it->deadlines[i], i);
  }
  kad_counting_never_fail(&it->counting);

  assert_null(it->wheel.ring);
  for (size_t i = 0; i < 2UL * KAD_WHEEL_FEW; i++) {
    assert_ptr_equal(kad_wheel_pop_due(&it->wheel, MANY), &it->deadlines[i]);
  }
}

static uint64_t next_random(uint64_t *seed) {
  *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
  return *seed >> 33;
}

/* Late, near, beyond the ring, and never. */
static kad_time_ms draw_time(uint64_t *seed, kad_time_ms now) {
  switch (next_random(seed) % 8) {
  case 0:
    return now - next_random(seed) % 100;
  case 1:
    return now + next_random(seed) % (4UL * KAD_WHEEL_SLOTS);
  case 2:
    return next_random(seed) % 8 == 0 ? KAD_TIME_NEVER : now;
  default:
    return now + next_random(seed) % 300;
  }
}

static kad_time_ms draw_pause(uint64_t *seed) {
  return next_random(seed) % 500 == 0
             ? next_random(seed) % (3UL * KAD_WHEEL_SLOTS)
             : next_random(seed) % 4;
}

static void a_wheel_gives_the_order_of_a_heap(void **state) {
  struct wheels *it = *state;
  static struct kad_deadline others[MANY];
  struct kad_heap heap = {0};
  uint64_t seed = 1;
  kad_time_ms now = 1000;
  for (size_t step = 0; step < STEPS; step++) {
    const size_t i = next_random(&seed) % MANY;
    if (next_random(&seed) % 4 == 0) {
      kad_wheel_remove(&it->wheel, &it->deadlines[i]);
      kad_heap_remove(&heap, &others[i]);
    } else {
      const kad_time_ms at = draw_time(&seed, now);
      kad_wheel_add(&it->wheel, &it->deadlines[i], at);
      kad_heap_add(&heap, &others[i], at);
    }
    assert_int_equal(kad_wheel_next(&it->wheel), kad_heap_next(&heap));
    now += draw_pause(&seed);
    const struct kad_deadline *expected = kad_heap_pop_due(&heap, now);
    const struct kad_deadline *popped = kad_wheel_pop_due(&it->wheel, now);
    assert_int_equal(popped == NULL, expected == NULL);
    assert_true(popped == NULL || popped - it->deadlines == expected - others);
  }
  assert_non_null(it->wheel.ring);
}

static void deadlines_added_after_the_mark_stay(void **state) {
  struct wheels *it = *state;
  make_ring(it);
  kad_wheel_add(&it->wheel, &it->deadlines[0], 5);
  const uint64_t mark = kad_wheel_mark(&it->wheel);
  kad_wheel_add(&it->wheel, &it->deadlines[1], 5);

  assert_null(kad_wheel_pop_due_before(&it->wheel, 4, mark));
  assert_ptr_equal(kad_wheel_pop_due_before(&it->wheel, 5, mark),
                   &it->deadlines[0]);
  assert_null(kad_wheel_pop_due_before(&it->wheel, 5, mark));
  assert_ptr_equal(kad_wheel_pop_due(&it->wheel, 5), &it->deadlines[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(few_deadlines_allocate_nothing),
      TEST(equal_deadlines_come_in_the_order_of_addition),
      TEST(deadlines_of_the_heap_precede_later_additions),
      TEST(late_deadlines_come_first),
      TEST(without_memory_the_heap_is_used),
      TEST(a_wheel_gives_the_order_of_a_heap),
      TEST(deadlines_added_after_the_mark_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "rpc/store_budget.h"

#include "unit.h"

enum {
  SECOND_MS = 1000
};

/* Takes all stores that may leave in `span_ms` from `*now` on, and returns
 * their number. */
static unsigned take_all(struct kad_store_budget *budget, kad_time_ms *now,
                         kad_time_ms span_ms) {
  unsigned taken = 0;
  for (const kad_time_ms end = *now + span_ms; *now < end; (*now)++) {
    while (kad_store_budget_take(budget, *now)) {
      taken++;
    }
  }
  return taken;
}

static void each_second_has_per_s_stores(void **state) {
  static const uint32_t rates[] = {1, 7, 80, 999, 1000, 20000};
  (void)state;
  for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
    struct kad_store_budget budget;
    kad_store_budget_init(&budget, rates[i]);
    kad_time_ms now = 5 * SECOND_MS;
    for (unsigned second = 0; second < 20; second++) {
      const unsigned taken = take_all(&budget, &now, SECOND_MS);
      assert_in_range(taken, rates[i] - rates[i] / 100, rates[i]);
    }
  }
}

/* Unused stores are lost, so that there are no bursts. */
static void unused_stores_are_lost(void **state) {
  struct kad_store_budget budget;
  kad_store_budget_init(&budget, 80);
  kad_time_ms now = 3600 * SECOND_MS;
  (void)state;
  assert_int_equal(take_all(&budget, &now, 1), 1);
  now += 3600 * SECOND_MS;

  assert_int_equal(take_all(&budget, &now, 1), 1);
  assert_int_equal(take_all(&budget, &now, 99), 7);
}

static void free_at_is_when_the_next_may_leave(void **state) {
  struct kad_store_budget budget;
  kad_store_budget_init(&budget, 10);
  (void)state;
  assert_true(kad_store_budget_free_at(&budget) <= 50);
  assert_true(kad_store_budget_take(&budget, 50));

  assert_int_equal(kad_store_budget_free_at(&budget), 150);
  assert_false(kad_store_budget_take(&budget, 149));
  assert_true(kad_store_budget_take(&budget, 150));
  assert_int_equal(kad_store_budget_span(&budget, 25), 2500);
}

static void zero_per_s_is_one_per_s(void **state) {
  struct kad_store_budget budget;
  kad_store_budget_init(&budget, 0);
  kad_time_ms now = SECOND_MS;
  (void)state;

  assert_int_equal(take_all(&budget, &now, 10 * SECOND_MS), 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_second_has_per_s_stores),
      cmocka_unit_test(unused_stores_are_lost),
      cmocka_unit_test(free_at_is_when_the_next_may_leave),
      cmocka_unit_test(zero_per_s_is_one_per_s),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

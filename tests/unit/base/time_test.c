#include "base/time.h"

#include "unit.h"

static void sums_and_spans_of_time_saturate(void **state) {
  (void)state;
  assert_true(kad_time_add(2, 3) == 5);
  assert_true(kad_time_add(KAD_TIME_NEVER, 1) == KAD_TIME_NEVER);
  assert_true(kad_time_add(1, KAD_TIME_NEVER) == KAD_TIME_NEVER);
  assert_true(kad_time_add(KAD_TIME_NEVER - 1, 1) == KAD_TIME_NEVER);
  assert_true(kad_time_since(2, 5) == 3);
  assert_true(kad_time_since(5, 2) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_and_spans_of_time_saturate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

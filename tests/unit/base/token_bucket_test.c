#include "base/token_bucket.h"

#include "unit.h"

enum {
  HOUR_MS = 3600000
};

/* The example of the header. */
static bool take_one(struct kad_token_bucket *bucket,
                     const struct kad_token_rate *rate, kad_time_ms now) {
  kad_token_bucket_fill(bucket, rate, now);
  const bool has_one = kad_token_bucket_has(bucket, rate, KAD_TOKEN);
  if (has_one) {
    kad_token_bucket_take(bucket, rate, KAD_TOKEN);
  }
  return has_one;
}

static unsigned take_all(struct kad_token_bucket *bucket,
                         const struct kad_token_rate *rate, kad_time_ms now) {
  unsigned taken = 0;
  while (taken < 1000 && take_one(bucket, rate, now)) {
    taken++;
  }
  return taken;
}

static void a_burst_is_followed_by_the_rate(void **state) {
  (void)state;
  const struct kad_token_rate rate = kad_token_rate_of(10, 4);
  struct kad_token_bucket bucket = {0};

  assert_int_equal(take_all(&bucket, &rate, HOUR_MS), 4);
  assert_int_equal(kad_token_bucket_full_after(&bucket, &rate), 400);
  assert_int_equal(take_all(&bucket, &rate, HOUR_MS + 99), 0);
  assert_int_equal(take_all(&bucket, &rate, HOUR_MS + 100), 1);
  assert_int_equal(take_all(&bucket, &rate, HOUR_MS + 349), 2);
  assert_int_equal(take_all(&bucket, &rate, 2 * HOUR_MS), 4);
}

static void fractions_of_a_token_are_not_lost(void **state) {
  (void)state;
  const struct kad_token_rate rate = kad_token_rate_of(7, 1);
  struct kad_token_bucket bucket = {0};
  unsigned taken = 0;

  for (kad_time_ms now = 1; now <= 10000; now++) {
    taken += take_one(&bucket, &rate, now);
  }

  assert_int_equal(taken, 70);
}

static void a_rate_of_zero_is_no_limit(void **state) {
  (void)state;
  const struct kad_token_rate rate = kad_token_rate_of(0, 0);
  struct kad_token_bucket bucket = {0};

  assert_int_equal(take_all(&bucket, &rate, 1), 1000);
  assert_int_equal(kad_token_bucket_full_after(&bucket, &rate), 0);
}

static void the_greatest_rate_does_not_overflow(void **state) {
  (void)state;
  const struct kad_token_rate rate = kad_token_rate_of(UINT64_MAX, UINT64_MAX);
  struct kad_token_bucket bucket = {0};

  for (kad_time_ms now = 1; now < 2000; now++) {
    kad_token_bucket_fill(&bucket, &rate, now);
    const uint64_t all = rate.cap - bucket.missing;
    assert_true(kad_token_bucket_has(&bucket, &rate, all));
    kad_token_bucket_take(&bucket, &rate, all);
    assert_false(kad_token_bucket_has(&bucket, &rate, 1));
  }
  kad_token_bucket_fill(&bucket, &rate, KAD_TIME_NEVER);
  assert_int_equal(bucket.missing, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_burst_is_followed_by_the_rate),
      cmocka_unit_test(fractions_of_a_token_are_not_lost),
      cmocka_unit_test(a_rate_of_zero_is_no_limit),
      cmocka_unit_test(the_greatest_rate_does_not_overflow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

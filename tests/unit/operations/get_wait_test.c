/* How long reads wait for contacts that do not answer: dead ones, or those
 * behind a NAT. Tests core/operations/operation.c, core/lookup/paths.c. */
#include "overlay.h"
#include "unit.h"

enum {
  NODES = 9,
  SILENT = 3, /* the last ones: the others are fewer than k */
  QUICK_MS = 1000,
  PATIENT_MS = 1500
};

static struct kad_overlay overlay;
static struct kad_ending ended;
static struct kad_id key;

/* Opens an overlay in which all hold a value, and the last nodes fall silent.
 */
static int begin(void **state) {
  (void)state;
  kad_ending_open(&ended, &overlay, 5, NODES);
  key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "here");
  assert_ok(kad_overlay_put(&overlay, 1, &record, NULL));
  for (size_t i = NODES - SILENT; i < NODES; i++) {
    kad_overlay_kill(&overlay, i);
  }
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_ending_close(&ended);
  return 0;
}

static void a_get_with_a_value_does_not_wait_for_the_silent(void **state) {
  (void)state;
  assert_ok(kad_overlay_get(&overlay, 0, &key, "value", NULL, &ended));
  assert_true(ended.result.took_ms <= QUICK_MS);
  assert_true(ended.result.closest_count >= NODES - SILENT - 2);
}

/* One of the silent may be slow, and have it. */
static void a_get_without_a_value_waits_for_the_silent(void **state) {
  (void)state;
  key = kad_overlay_key(2);
  assert_int_equal(kad_overlay_get(&overlay, 0, &key, "value", NULL, &ended),
                   KAD_ENOTFOUND);
  assert_true(ended.result.took_ms >= PATIENT_MS);
}

static void a_get_from_all_of_the_closest_waits_for_the_silent(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.quorum = 8};
  assert_ok(kad_overlay_get(&overlay, 0, &key, "value", &options, &ended));
  assert_true(ended.result.took_ms >= PATIENT_MS);
}

static void a_put_waits_for_the_silent(void **state) {
  (void)state;
  const struct kad_record record = kad_overlay_record(&key, "there");
  assert_ok(kad_overlay_put(&overlay, 0, &record, &ended));
  assert_true(ended.result.took_ms >= PATIENT_MS);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      TEST(a_get_with_a_value_does_not_wait_for_the_silent),
      TEST(a_get_without_a_value_waits_for_the_silent),
      TEST(a_get_from_all_of_the_closest_waits_for_the_silent),
      TEST(a_put_waits_for_the_silent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

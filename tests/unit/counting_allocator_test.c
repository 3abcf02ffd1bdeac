#include "counting_allocator.h"

#include "unit.h"

#include <string.h>

static void *resize(struct kad_counting_allocator *counting, void *old,
                    size_t old_size, size_t new_size) {
  const struct kad_allocator *allocator = &counting->allocator;
  return allocator->resize(allocator->state, old, old_size, new_size);
}

static void counts_blocks_and_bytes_down_to_zero(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);

  void *a = resize(&counting, NULL, 0, 100);
  void *b = resize(&counting, NULL, 0, 20);
  a = resize(&counting, a, 100, 10);

  assert_int_equal(counting.blocks, 2);
  assert_int_equal(counting.bytes, 30);
  assert_int_equal(counting.peak_bytes, 130);
  assert_int_equal(counting.requests, 2);
  assert_null(resize(&counting, a, 10, 0));
  assert_null(resize(&counting, b, 20, 0));
  kad_counting_deinit(&counting);
}

static void keeps_what_a_resized_block_holds(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);

  char *text = resize(&counting, NULL, 0, 6);
  memcpy(text, "value", 6);
  text = resize(&counting, text, 6, 600);

  assert_string_equal(text, "value");
  resize(&counting, text, 600, 0);
  kad_counting_deinit(&counting);
}

static void fails_the_chosen_request_once(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  kad_counting_fail_at(&counting, 1);

  char *block = resize(&counting, NULL, 0, 1);
  assert_non_null(block);
  assert_null(resize(&counting, block, 1, 2));
  assert_true(counting.has_failed);
  block = resize(&counting, block, 1, 2);
  assert_non_null(block);

  resize(&counting, block, 2, 0);
  kad_counting_deinit(&counting);
}

static void fails_what_would_exceed_the_limit(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  counting.limit_bytes = 10;

  void *block = resize(&counting, NULL, 0, 8);
  assert_null(resize(&counting, NULL, 0, 3));
  block = resize(&counting, block, 8, 10);
  assert_non_null(block);
  assert_null(resize(&counting, block, 10, SIZE_MAX));

  resize(&counting, block, 10, 0);
  kad_counting_deinit(&counting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_blocks_and_bytes_down_to_zero),
      cmocka_unit_test(keeps_what_a_resized_block_holds),
      cmocka_unit_test(fails_the_chosen_request_once),
      cmocka_unit_test(fails_what_would_exceed_the_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

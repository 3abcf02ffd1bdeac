#include "base/allocator.h"

#include "counting_allocator.h"
#include "unit.h"

#include <string.h>

static void library_memory_keeps_its_bytes_when_resized(void **state) {
  (void)state;
  const struct kad_allocator allocator = kad_allocator_default();
  static const uint8_t bytes[4] = {1, 2, 3, 4};
  uint8_t *block = kad_alloc(&allocator, sizeof bytes);
  assert_non_null(block);
  memcpy(block, bytes, sizeof bytes);

  block = kad_resize(&allocator, block, 4, 100000);
  assert_non_null(block);
  assert_memory_equal(block, bytes, 4);
  block = kad_resize(&allocator, block, 100000, 2);
  assert_non_null(block);
  assert_memory_equal(block, bytes, 2);

  kad_release(&allocator, block, 2);
}

static void zeroed_memory_is_zero(void **state) {
  (void)state;
  static const uint8_t zeros[64] = {0};
  struct kad_counting_allocator counting;
  kad_counting_init(&counting); /* gives memory that is not zero */

  uint8_t *block = kad_alloc_zero(&counting.allocator, sizeof zeros);
  assert_non_null(block);
  assert_memory_equal(block, zeros, sizeof zeros);

  kad_release(&counting.allocator, block, sizeof zeros);
  kad_counting_deinit(&counting);
}

static void resizing_nothing_allocates(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);

  void *block = kad_resize(&counting.allocator, NULL, 0, 10);
  assert_non_null(block);
  assert_int_equal(counting.bytes, 10);

  kad_release(&counting.allocator, block, 10);
  kad_counting_deinit(&counting);
}

static void a_failed_resize_leaves_the_old_block(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  char *block = kad_alloc(&counting.allocator, 1);
  assert_non_null(block);
  *block = 'x';

  kad_counting_fail_at(&counting, 0);
  assert_null(kad_resize(&counting.allocator, block, 1, 10));
  kad_counting_fail_at(&counting, 0);
  assert_null(kad_alloc_zero(&counting.allocator, 10));
  assert_int_equal(*block, 'x');

  kad_release(&counting.allocator, block, 1);
  kad_counting_deinit(&counting);
}

static void releasing_nothing_does_nothing(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  kad_release(&counting.allocator, NULL, 0);
  assert_int_equal(counting.requests, 0);
  kad_counting_deinit(&counting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(library_memory_keeps_its_bytes_when_resized),
      cmocka_unit_test(zeroed_memory_is_zero),
      cmocka_unit_test(resizing_nothing_allocates),
      cmocka_unit_test(a_failed_resize_leaves_the_old_block),
      cmocka_unit_test(releasing_nothing_does_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "records/bundle.h"

#include "counting_allocator.h"
#include "unit.h"

#include <string.h>

static void copies_everything_that_a_record_points_to(void **state) {
  struct kad_counting_allocator counting;
  uint8_t publisher[KAD_PUBLISHER_SIZE] = {1};
  uint8_t signature[KAD_SIGNATURE_SIZE] = {2};
  char value[] = "value";
  const struct kad_record records[] = {
      {.type = kad_slice_of("note"),
       .value = kad_slice_of(value),
       .salt = kad_slice_of("salt"),
       .publisher = publisher,
       .signature = signature},
      {.type = kad_slice_of("note")},
  };
  struct kad_bundle bundle = {0};
  (void)state;
  kad_counting_init(&counting);

  assert_ok(kad_bundle_copy(&bundle, &counting.allocator, records, 2));
  memset(publisher, 0, sizeof publisher);
  memset(signature, 0, sizeof signature);
  memset(value, 0, sizeof value);

  assert_int_equal(bundle.count, 2);
  assert_slice_is(bundle.records[0].type, "note");
  assert_slice_is(bundle.records[0].value, "value");
  assert_slice_is(bundle.records[0].salt, "salt");
  assert_int_equal(bundle.records[0].publisher[0], 1);
  assert_int_equal(bundle.records[0].signature[0], 2);
  assert_int_equal(bundle.records[1].value.len, 0);
  assert_null(bundle.records[1].publisher);
  assert_null(bundle.records[1].signature);
  kad_bundle_free(&bundle, &counting.allocator);
  assert_int_equal(bundle.count, 0);
  kad_counting_deinit(&counting);
}

static void copies_under_another_key_and_type(void **state) {
  struct kad_counting_allocator counting;
  const struct kad_record named = {.key = {{7}}, .type = kad_slice_of("peers")};
  const struct kad_record record = {.key = {{8}},
                                    .value = kad_slice_of("value")};
  struct kad_bundle bundle = {0};
  (void)state;
  kad_counting_init(&counting);

  assert_ok(
      kad_bundle_copy_as(&bundle, &counting.allocator, &named, &record, 1));

  assert_int_equal(bundle.records[0].key.bytes[0], 7);
  assert_slice_is(bundle.records[0].type, "peers");
  assert_slice_is(bundle.records[0].value, "value");
  kad_bundle_free(&bundle, &counting.allocator);
  kad_counting_deinit(&counting);
}

static void copies_nothing_without_memory(void **state) {
  struct kad_counting_allocator counting;
  const struct kad_record record = {.value = kad_slice_of("value")};
  struct kad_bundle bundle = {0};
  (void)state;
  kad_counting_init(&counting);
  kad_counting_fail_at(&counting, 0);

  assert_int_equal(kad_bundle_copy(&bundle, &counting.allocator, &record, 1),
                   KAD_ENOMEM);

  assert_int_equal(bundle.count, 0);
  kad_counting_deinit(&counting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies_everything_that_a_record_points_to),
      cmocka_unit_test(copies_under_another_key_and_type),
      cmocka_unit_test(copies_nothing_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

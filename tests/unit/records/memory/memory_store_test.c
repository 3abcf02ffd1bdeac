/* What the memory store does beyond store_test.c. */
#include "memory_fixture.h"
#include "unit.h"

static void holds_255_types_at_a_time(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle handles[255];
  kad_record_handle handle = 0;
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "v");
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  for (size_t i = 0; i < 255; i++) {
    record.type = (struct kad_slice){(const uint8_t[]){1, (uint8_t)i}, 2};
    handles[i] = kad_memory_add(&fixture, &record, &meta);
  }
  record.type = kad_slice_of("one too many");
  struct kad_store *store = fixture.store;

  assert_int_equal(kad_store_add(store, &record, &meta, &handle), KAD_EFULL);
  assert_int_equal(kad_store_count(fixture.store), 255);
  kad_store_remove(fixture.store, handles[100]);
  handle = kad_memory_add(&fixture, &record, &meta);
  kad_memory_assert_reads(&fixture, handle, &record, &meta);
  kad_memory_close(&fixture);
}

static void keeps_the_origin_when_out_of_memory(void **state) {
  (void)state;
  for (size_t n = 0; n < 2; n++) {
    struct kad_memory_fixture fixture;
    kad_memory_open(&fixture);
    struct kad_record record = kad_memory_record(1, "v");
    struct kad_record_meta before = kad_memory_meta(0, kad_memory_host(1));
    kad_record_handle handle = kad_memory_add(&fixture, &record, &before);
    struct kad_record_meta after = kad_memory_meta(7, kad_memory_wide_host(1));
    struct kad_record_meta expected = kad_memory_meta(7, kad_memory_host(1));

    kad_counting_fail_at(&fixture.counting, n);
    kad_store_set_meta(fixture.store, handle, &after);

    if (fixture.counting.has_failed) {
      kad_memory_assert_reads(&fixture, handle, &record, &expected);
      assert_int_equal(kad_memory_count_of(&fixture, kad_memory_host(1)), 1);
    } else {
      assert_int_equal(n, 1);
      kad_memory_assert_reads(&fixture, handle, &record, &after);
    }
    kad_memory_close(&fixture);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(holds_255_types_at_a_time),
      cmocka_unit_test(keeps_the_origin_when_out_of_memory),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

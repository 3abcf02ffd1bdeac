#include "memory_fixture.h"
#include "unit.h"

#include <string.h>

static const uint8_t bytes[KAD_VALUE_MAX] = {1, 2, 3};
static const struct kad_address own_user = {0};

/* ------------------------------------------------ meta and reading -- */

static void new_store_is_empty(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_time_ms at = 0;
  uint64_t cursor = 0;
  kad_memory_open(&fixture);
  struct kad_store *store = fixture.store;

  assert_int_equal(kad_store_count(fixture.store), 0);
  assert_int_equal(kad_store_bytes(fixture.store), 0);
  assert_int_equal(kad_memory_count_of(&fixture, own_user), 0);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, NULL, 0), 0);
  assert_int_equal(kad_store_due_expire(store, &at), 0);
  assert_int_equal(at, KAD_TIME_NEVER);
  assert_int_equal(kad_store_due_republish(store, &at), 0);
  assert_int_equal(kad_store_next(store, &cursor), 0);
  struct kad_id self = kad_memory_key(0);
  assert_int_equal(kad_store_victim(store, &self), 0);

  kad_memory_close(&fixture);
}

static void reads_every_field_of_a_record(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_record record = {
      .type = kad_slice_of("value"),
      .value = {bytes, KAD_VALUE_MAX},
      .salt = {bytes, KAD_SALT_MAX},
      .publisher = bytes + 1,
      .signature = bytes + 2,
      .seq = INT64_MIN,
      .has_seq = true,
  };
  memset(record.key.bytes, 0xee, sizeof record.key.bytes);
  struct kad_record_meta meta = {
      .stored_at = 1, .expires_at = KAD_TIME_NEVER - 1, .republish_at = 0};
  meta.origin = kad_memory_wide_host(0x12345678);
  meta.origin.via = 3;
  kad_memory_open(&fixture);

  kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);

  kad_memory_assert_reads(&fixture, handle, &record, &meta);
  kad_memory_close(&fixture);
}

/* Fields may be absent in any combination. */
static void reads_any_combination_of_fields(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);

  for (unsigned parts = 0; parts < 128; parts++) {
    struct kad_record record =
        kad_memory_record(parts, parts & 1 ? "some value" : "");
    record.key.bytes[KAD_ID_SIZE - 1] = parts & 2 ? 5 : 0;
    record.publisher = parts & 4 ? bytes + 3 : NULL;
    record.signature = parts & 8 ? bytes + 4 : NULL;
    record.salt = (struct kad_slice){bytes, parts & 16 ? 9 : 0};
    record.has_seq = parts & 32;
    record.seq = parts & 32 ? -7 : 0;
    struct kad_address hosts[] = {own_user, kad_memory_host(5),
                                  kad_memory_wide_host(5)};
    struct kad_record_meta meta = kad_memory_meta(parts, hosts[parts % 3]);
    meta.origin.via = parts & 64 ? 2 : 0;
    kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);
    kad_memory_assert_reads(&fixture, handle, &record, &meta);
  }

  assert_int_equal(kad_store_count(fixture.store), 128);
  kad_memory_close(&fixture);
}

/* The caller may free the record, or add a held one again. */
static void copies_the_record(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  char value[] = "precious";
  char type[] = "rare";
  struct kad_held held;
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, value);
  record.type = kad_slice_of(type);
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));

  kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);
  memset(value, 'x', sizeof value);
  memset(type, 'x', sizeof type);

  assert_true(kad_store_read(fixture.store, handle, &held));
  assert_slice_is(held.record.value, "precious");
  assert_slice_is(held.record.type, "rare");
  kad_record_handle again = kad_memory_add(&fixture, &held.record, &held.meta);
  assert_true(kad_store_read(fixture.store, again, &held));
  assert_slice_is(held.record.value, "precious");
  kad_memory_close(&fixture);
}

static void separates_types_under_one_key(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle found[4];
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "same");
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  kad_record_handle value = kad_memory_add(&fixture, &record, &meta);
  record.type = kad_slice_of("other");
  kad_record_handle other = kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 4), 1);
  assert_int_equal(found[0], value);
  assert_int_equal(kad_memory_find(&fixture, 1, "other", 0, found, 4), 1);
  assert_int_equal(found[0], other);
  assert_int_equal(kad_memory_find(&fixture, 1, "othe", 0, found, 4), 0);
  kad_store_remove(fixture.store, value);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 4), 0);
  assert_int_equal(kad_memory_find(&fixture, 1, "other", 0, found, 4), 1);
  kad_memory_close(&fixture);
}

static void separates_short_and_long_keys(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "long");
  record.key.bytes[KAD_ID_SIZE - 1] = 1;
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, NULL, 0), 0);
  kad_memory_add_value(&fixture, 1, "short", 1);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, NULL, 0), 1);
  kad_memory_close(&fixture);
}

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

/* ------------------------------------------------------------ finding -- */

static void finds_the_newest_first(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle found[4] = {0};
  kad_memory_open(&fixture);
  kad_record_handle first = kad_memory_add_value(&fixture, 1, "a", 1);
  kad_record_handle second = kad_memory_add_value(&fixture, 1, "b", 2);
  kad_record_handle third = kad_memory_add_value(&fixture, 1, "c", 2);
  kad_memory_add_value(&fixture, 2, "d", 3);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 4), 3);
  assert_int_equal(found[0], third);
  assert_int_equal(found[1], second);
  assert_int_equal(found[2], first);
  assert_int_equal(found[3], 0);
  kad_memory_close(&fixture);
}

static void finds_a_page(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle all[10];
  kad_record_handle page[5] = {0};
  kad_memory_open(&fixture);
  for (kad_time_ms i = 0; i < 10; i++) {
    kad_memory_add_value(&fixture, 1, "v", i);
  }
  kad_memory_find(&fixture, 1, "value", 0, all, 10);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, NULL, 0), 10);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 3, page, 4), 10);
  assert_memory_equal(page, all + 3, 4 * sizeof *page);
  assert_int_equal(page[4], 0);
  page[2] = 0;
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 8, page, 5), 10);
  assert_memory_equal(page, all + 8, 2 * sizeof *page);
  assert_int_equal(page[2], 0);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 10, page, 5), 10);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", SIZE_MAX, page, 5),
                   10);
  kad_memory_close(&fixture);
}

static void finds_the_others_after_a_removal(void **state) {
  (void)state;
  for (size_t gone = 0; gone < 3; gone++) {
    struct kad_memory_fixture fixture;
    kad_record_handle found[3] = {0};
    kad_memory_open(&fixture);
    kad_record_handle handles[] = {kad_memory_add_value(&fixture, 1, "a", 1),
                                   kad_memory_add_value(&fixture, 1, "b", 2),
                                   kad_memory_add_value(&fixture, 1, "c", 3)};

    kad_store_remove(fixture.store, handles[gone]);

    assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 3), 2);
    assert_int_equal(found[0], handles[gone == 2 ? 1 : 2]);
    assert_int_equal(found[1], handles[gone == 0 ? 1 : 0]);
    kad_memory_close(&fixture);
  }
}

/* ----------------------------------------------------------- touching -- */

static void confirmed_record_becomes_the_newest(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle found[3];
  kad_memory_open(&fixture);
  kad_record_handle first = kad_memory_add_value(&fixture, 1, "a", 1);
  kad_record_handle second = kad_memory_add_value(&fixture, 1, "b", 2);
  struct kad_record_meta later = kad_memory_meta(3, kad_memory_host(1));

  kad_store_touch(fixture.store, first, &later);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 3), 2);
  assert_int_equal(found[0], first);
  assert_int_equal(found[1], second);
  kad_memory_close(&fixture);
}

static void keeps_the_order_when_only_other_times_change(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle found[3];
  kad_memory_open(&fixture);
  kad_record_handle first = kad_memory_add_value(&fixture, 1, "a", 1);
  kad_record_handle second = kad_memory_add_value(&fixture, 1, "b", 2);
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  meta.republish_at = 500;
  meta.expires_at = 50000;
  struct kad_record record = kad_memory_record(1, "a");

  kad_store_touch(fixture.store, first, &meta);

  kad_memory_assert_reads(&fixture, first, &record, &meta);
  kad_memory_find(&fixture, 1, "value", 0, found, 3);
  assert_int_equal(found[0], second);
  assert_int_equal(found[1], first);
  kad_memory_close(&fixture);
}

static void changes_the_origin(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_address hosts[] = {kad_memory_wide_host(9), kad_memory_host(2),
                                own_user, kad_memory_wide_host(9),
                                kad_memory_host(1)};
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "v");
  kad_record_handle handle = kad_memory_add_value(&fixture, 1, "v", 0);
  kad_record_handle other = kad_memory_add_value(&fixture, 1, "other", 0);

  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
    struct kad_record_meta meta = kad_memory_meta(i, hosts[i]);
    meta.origin.port = (uint16_t)(i + 1);
    kad_store_touch(fixture.store, handle, &meta);
    kad_memory_assert_reads(&fixture, handle, &record, &meta);
    assert_int_equal(kad_memory_count_of(&fixture, hosts[i]), i == 4 ? 2 : 1);
  }

  assert_true(kad_memory_has(&fixture, other));
  assert_int_equal(kad_memory_count_of(&fixture, own_user), 0);
  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_wide_host(9)), 0);
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
    kad_store_touch(fixture.store, handle, &after);

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

/* ------------------------------------------------------------ handles -- */

static void recognises_a_stale_handle(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  kad_record_handle kept = kad_memory_add_value(&fixture, 2, "kept", 1);
  kad_record_handle handle = kad_memory_add_value(&fixture, 1, "old", 1);
  struct kad_record_meta meta = kad_memory_meta(9, kad_memory_host(2));

  kad_store_remove(fixture.store, handle);
  assert_false(kad_memory_has(&fixture, handle));
  kad_record_handle next = kad_memory_add_value(&fixture, 1, "new", 2);
  assert_true(next != handle);
  assert_false(kad_memory_has(&fixture, handle));

  kad_store_remove(fixture.store, handle);
  kad_store_touch(fixture.store, handle, &meta);
  struct kad_held held;
  assert_true(kad_store_read(fixture.store, next, &held));
  assert_int_equal(held.meta.stored_at, 2);
  assert_true(kad_memory_has(&fixture, kept));
  assert_false(kad_memory_has(&fixture, 0));
  assert_false(kad_memory_has(&fixture, UINT64_MAX));
  kad_memory_close(&fixture);
}

static void recognises_a_stale_handle_after_being_empty(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);

  kad_record_handle handle = kad_memory_add_value(&fixture, 1, "old", 1);
  kad_store_remove(fixture.store, handle);
  assert_false(kad_memory_has(&fixture, handle));
  kad_memory_add_value(&fixture, 1, "new", 2);

  assert_false(kad_memory_has(&fixture, handle));
  kad_memory_close(&fixture);
}

static void next_returns_every_record_once(void **state) {
  (void)state;
  enum {
    RECORDS = 100
  };
  struct kad_memory_fixture fixture;
  bool seen[RECORDS] = {false};
  kad_record_handle handles[RECORDS];
  kad_memory_open(&fixture);
  for (uint32_t i = 0; i < RECORDS; i++) {
    handles[i] = kad_memory_add_value(&fixture, i, "v", i);
  }
  for (size_t i = 0; i < RECORDS; i += 3) {
    kad_store_remove(fixture.store, handles[i]);
  }

  uint64_t cursor = 0;
  size_t visited = 0;
  struct kad_held held;
  struct kad_store *store = fixture.store;
  for (kad_record_handle at = kad_store_next(store, &cursor); at != 0;
       at = kad_store_next(store, &cursor)) {
    assert_true(kad_store_read(fixture.store, at, &held));
    assert_false(seen[held.meta.stored_at]);
    seen[held.meta.stored_at] = true;
    visited++;
    kad_store_remove(fixture.store, at); /* must not end the iteration */
  }

  assert_int_equal(visited, RECORDS - 34);
  assert_int_equal(kad_store_count(fixture.store), 0);
  kad_memory_close(&fixture);
}

/* ------------------------------------------------------------- timing -- */

static void due_expire_returns_the_first_to_expire(void **state) {
  (void)state;
  static const kad_time_ms moments[] = {50, 20, 90, 20, 70, 10};
  static const kad_time_ms sorted[] = {10, 20, 20, 50, 70, 90};
  struct kad_memory_fixture fixture;
  kad_time_ms at = 0;
  struct kad_held held;
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "v");
  for (size_t i = 0; i < 6; i++) {
    struct kad_record_meta meta = kad_memory_meta(0, kad_memory_host(1));
    meta.expires_at = moments[i];
    kad_memory_add(&fixture, &record, &meta);
  }

  for (size_t i = 0; i < 6; i++) {
    kad_record_handle due = kad_store_due_expire(fixture.store, &at);
    assert_int_equal(at, sorted[i]);
    assert_true(kad_store_read(fixture.store, due, &held));
    assert_int_equal(held.meta.expires_at, sorted[i]);
    kad_store_remove(fixture.store, due);
  }

  assert_int_equal(kad_store_due_expire(fixture.store, &at), 0);
  kad_memory_close(&fixture);
}

static void due_republish_returns_the_first_to_republish(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_time_ms at = 0;
  kad_memory_open(&fixture);
  struct kad_store *store = fixture.store;
  struct kad_record record = kad_memory_record(1, "v");
  struct kad_record_meta meta = kad_memory_meta(0, kad_memory_host(1));
  kad_record_handle never = kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_store_due_republish(store, &at), 0);
  assert_int_equal(at, KAD_TIME_NEVER);
  meta.republish_at = 40;
  kad_record_handle second = kad_memory_add(&fixture, &record, &meta);
  meta.republish_at = 30;
  kad_record_handle first = kad_memory_add(&fixture, &record, &meta);
  assert_int_equal(kad_store_due_republish(store, &at), first);
  assert_int_equal(at, 30);
  meta.republish_at = 50;
  kad_store_touch(fixture.store, first, &meta);
  assert_int_equal(kad_store_due_republish(store, &at), second);
  assert_int_equal(at, 40);
  meta.republish_at = 7;
  kad_store_touch(fixture.store, never, &meta);
  assert_int_equal(kad_store_due_republish(store, &at), never);
  kad_memory_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(new_store_is_empty),
      cmocka_unit_test(reads_every_field_of_a_record),
      cmocka_unit_test(reads_any_combination_of_fields),
      cmocka_unit_test(copies_the_record),
      cmocka_unit_test(separates_types_under_one_key),
      cmocka_unit_test(separates_short_and_long_keys),
      cmocka_unit_test(holds_255_types_at_a_time),
      cmocka_unit_test(finds_the_newest_first),
      cmocka_unit_test(finds_a_page),
      cmocka_unit_test(finds_the_others_after_a_removal),
      cmocka_unit_test(confirmed_record_becomes_the_newest),
      cmocka_unit_test(keeps_the_order_when_only_other_times_change),
      cmocka_unit_test(changes_the_origin),
      cmocka_unit_test(keeps_the_origin_when_out_of_memory),
      cmocka_unit_test(recognises_a_stale_handle),
      cmocka_unit_test(recognises_a_stale_handle_after_being_empty),
      cmocka_unit_test(next_returns_every_record_once),
      cmocka_unit_test(due_expire_returns_the_first_to_expire),
      cmocka_unit_test(due_republish_returns_the_first_to_republish),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

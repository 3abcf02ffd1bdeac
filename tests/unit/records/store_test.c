/* What every record store has to do: the memory store, and the array store of
 * an example. Tests core/records/store.h. */
#include "../../../scripts/examples/store/array_store.h"
#include "memory_fixture.h"
#include "unit.h"

#include <string.h>

enum {
  ARRAY_CAPACITY = 128
};

/* A kind of store. */
struct kind {
  bool is_array;
};

static struct kind memory = {.is_array = false};
static struct kind array = {.is_array = true};

static struct array_store opened_array;

static const uint8_t bytes_of_value[KAD_VALUE_MAX] = {1, 2, 3};
static const struct kad_address own_user = {0};

static void open_store(struct kad_memory_fixture *fixture,
                       const struct kind *kind) {
  if (!kind->is_array) {
    kad_memory_open(fixture);
    return;
  }
  kad_counting_init(&fixture->counting);
  assert_ok(array_store_init(&opened_array, fixture->counting.allocator,
                             ARRAY_CAPACITY));
  fixture->store = &opened_array.store;
}

static void close_store(struct kad_memory_fixture *fixture,
                        const struct kind *kind) {
  if (!kind->is_array) {
    kad_memory_close(fixture);
    return;
  }
  array_store_deinit(&opened_array);
  kad_counting_deinit(&fixture->counting);
}

/* ------------------------------------------------ meta and reading -- */

static void new_store_is_empty(void **state) {
  struct kad_memory_fixture fixture;
  kad_time_ms at = 0;
  uint64_t cursor = 0;
  open_store(&fixture, *state);
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
  if (store->victim != NULL) {
    assert_int_equal(kad_store_victim(store, &self), 0);
  }

  close_store(&fixture, *state);
}

static void reads_every_field_of_a_record(void **state) {
  struct kad_memory_fixture fixture;
  struct kad_record record = {
      .type = kad_slice_of("value"),
      .value = {bytes_of_value, KAD_VALUE_MAX},
      .salt = {bytes_of_value, KAD_SALT_MAX},
      .publisher = bytes_of_value + 1,
      .signature = bytes_of_value + 2,
      .seq = INT64_MIN,
      .has_seq = true,
  };
  memset(record.key.bytes, 0xee, sizeof record.key.bytes);
  struct kad_record_meta meta = {
      .stored_at = 1, .expires_at = KAD_TIME_NEVER - 1, .republish_at = 0};
  meta.origin = kad_memory_wide_host(0x12345678);
  meta.origin.via = 3;
  open_store(&fixture, *state);

  kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);

  kad_memory_assert_reads(&fixture, handle, &record, &meta);
  close_store(&fixture, *state);
}

/* Fields may be absent in any combination. */
static void reads_any_combination_of_fields(void **state) {
  struct kad_memory_fixture fixture;
  open_store(&fixture, *state);

  for (unsigned parts = 0; parts < 128; parts++) {
    struct kad_record record =
        kad_memory_record(parts, parts & 1 ? "some value" : "");
    record.key.bytes[KAD_ID_SIZE - 1] = parts & 2 ? 5 : 0;
    record.publisher = parts & 4 ? bytes_of_value + 3 : NULL;
    record.signature = parts & 8 ? bytes_of_value + 4 : NULL;
    record.salt = (struct kad_slice){bytes_of_value, parts & 16 ? 9 : 0};
    record.has_seq = parts & 32;
    record.seq = parts & 32 ? -7 : 0;
    struct kad_address hosts[] = {own_user, kad_memory_host(5),
                                  kad_memory_wide_host(5)};
    struct kad_record_meta meta = kad_memory_meta(parts, hosts[parts % 3]);
    meta.origin.via = parts & 64 ? 2 : 0;
    meta.is_seed = parts % 3 == 1;
    kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);
    kad_memory_assert_reads(&fixture, handle, &record, &meta);
  }

  assert_int_equal(kad_store_count(fixture.store), 128);
  close_store(&fixture, *state);
}

/* The caller may free the record, or add a held one again. */
static void copies_the_record(void **state) {
  struct kad_memory_fixture fixture;
  char value[] = "precious";
  char type[] = "rare";
  struct kad_held held;
  open_store(&fixture, *state);
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
  close_store(&fixture, *state);
}

static void separates_types_under_one_key(void **state) {
  struct kad_memory_fixture fixture;
  kad_record_handle found[4];
  open_store(&fixture, *state);
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
  close_store(&fixture, *state);
}

static void separates_short_and_long_keys(void **state) {
  struct kad_memory_fixture fixture;
  open_store(&fixture, *state);
  struct kad_record record = kad_memory_record(1, "long");
  record.key.bytes[KAD_ID_SIZE - 1] = 1;
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, NULL, 0), 0);
  kad_memory_add_value(&fixture, 1, "short", 1);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, NULL, 0), 1);
  close_store(&fixture, *state);
}

/* ------------------------------------------------------------ finding -- */

static void finds_the_newest_first(void **state) {
  struct kad_memory_fixture fixture;
  kad_record_handle found[4] = {0};
  open_store(&fixture, *state);
  kad_record_handle first = kad_memory_add_value(&fixture, 1, "a", 1);
  kad_record_handle second = kad_memory_add_value(&fixture, 1, "b", 2);
  kad_record_handle third = kad_memory_add_value(&fixture, 1, "c", 2);
  kad_memory_add_value(&fixture, 2, "d", 3);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 4), 3);
  assert_int_equal(found[0], third);
  assert_int_equal(found[1], second);
  assert_int_equal(found[2], first);
  assert_int_equal(found[3], 0);
  close_store(&fixture, *state);
}

static void finds_a_page(void **state) {
  struct kad_memory_fixture fixture;
  kad_record_handle all[10];
  kad_record_handle page[5] = {0};
  open_store(&fixture, *state);
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
  close_store(&fixture, *state);
}

static void finds_the_others_after_a_removal(void **state) {
  for (size_t gone = 0; gone < 3; gone++) {
    struct kad_memory_fixture fixture;
    kad_record_handle found[3] = {0};
    open_store(&fixture, *state);
    kad_record_handle handles[] = {kad_memory_add_value(&fixture, 1, "a", 1),
                                   kad_memory_add_value(&fixture, 1, "b", 2),
                                   kad_memory_add_value(&fixture, 1, "c", 3)};

    kad_store_remove(fixture.store, handles[gone]);

    assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 3), 2);
    assert_int_equal(found[0], handles[gone == 2 ? 1 : 2]);
    assert_int_equal(found[1], handles[gone == 0 ? 1 : 0]);
    close_store(&fixture, *state);
  }
}

/* ----------------------------------------------------------- touching -- */

static void confirmed_record_becomes_the_newest(void **state) {
  struct kad_memory_fixture fixture;
  kad_record_handle found[3];
  open_store(&fixture, *state);
  kad_record_handle first = kad_memory_add_value(&fixture, 1, "a", 1);
  kad_record_handle second = kad_memory_add_value(&fixture, 1, "b", 2);
  struct kad_record_meta later = kad_memory_meta(3, kad_memory_host(1));

  kad_store_set_meta(fixture.store, first, &later);

  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 3), 2);
  assert_int_equal(found[0], first);
  assert_int_equal(found[1], second);
  close_store(&fixture, *state);
}

static void keeps_the_order_when_only_other_times_change(void **state) {
  struct kad_memory_fixture fixture;
  kad_record_handle found[3];
  open_store(&fixture, *state);
  kad_record_handle first = kad_memory_add_value(&fixture, 1, "a", 1);
  kad_record_handle second = kad_memory_add_value(&fixture, 1, "b", 2);
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  meta.republish_at = 500;
  meta.expires_at = 50000;
  struct kad_record record = kad_memory_record(1, "a");

  kad_store_set_meta(fixture.store, first, &meta);

  kad_memory_assert_reads(&fixture, first, &record, &meta);
  kad_memory_find(&fixture, 1, "value", 0, found, 3);
  assert_int_equal(found[0], second);
  assert_int_equal(found[1], first);
  close_store(&fixture, *state);
}

static void changes_the_origin(void **state) {
  struct kad_memory_fixture fixture;
  struct kad_address hosts[] = {kad_memory_wide_host(9), kad_memory_host(2),
                                own_user, kad_memory_wide_host(9),
                                kad_memory_host(1)};
  open_store(&fixture, *state);
  struct kad_record record = kad_memory_record(1, "v");
  kad_record_handle handle = kad_memory_add_value(&fixture, 1, "v", 0);
  kad_record_handle other = kad_memory_add_value(&fixture, 1, "other", 0);

  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
    struct kad_record_meta meta = kad_memory_meta(i, hosts[i]);
    meta.origin.port = (uint16_t)(i + 1);
    kad_store_set_meta(fixture.store, handle, &meta);
    kad_memory_assert_reads(&fixture, handle, &record, &meta);
    assert_int_equal(kad_memory_count_of(&fixture, hosts[i]), i == 4 ? 2 : 1);
  }

  assert_true(kad_memory_has(&fixture, other));
  assert_int_equal(kad_memory_count_of(&fixture, own_user), 0);
  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_wide_host(9)), 0);
  close_store(&fixture, *state);
}

/* Records of this node count for no publisher, not even for the one who signed
 * them. */
static void counts_the_records_of_a_publisher(void **state) {
  struct kad_memory_fixture fixture;
  open_store(&fixture, *state);
  if (fixture.store->count_signed == NULL) {
    close_store(&fixture, *state);
    return;
  }
  struct kad_record record = kad_memory_record(1, "v");
  struct kad_record_meta meta = kad_memory_meta(1, own_user);
  kad_memory_add_spread(&fixture, 1, 1, 10, 3);
  kad_memory_add_spread(&fixture, 2, 1, 20, 1);
  kad_memory_add_value(&fixture, 30, "unsigned", 1);
  record.publisher = kad_memory_publisher(1);
  kad_record_handle own = kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_memory_count_signed(&fixture, 1), 3);
  assert_int_equal(kad_memory_count_signed(&fixture, 2), 1);
  assert_int_equal(kad_memory_count_signed(&fixture, 3), 0);

  meta.origin = kad_memory_wide_host(9);
  kad_store_set_meta(fixture.store, own, &meta);
  assert_int_equal(kad_memory_count_signed(&fixture, 1), 4);
  kad_memory_assert_reads(&fixture, own, &record, &meta);
  meta.origin = own_user;
  kad_store_set_meta(fixture.store, own, &meta);
  assert_int_equal(kad_memory_count_signed(&fixture, 1), 3);
  kad_memory_assert_reads(&fixture, own, &record, &meta);

  kad_record_handle found = 0;
  kad_memory_find(&fixture, 11, "value", 0, &found, 1);
  kad_store_remove(fixture.store, found);
  assert_int_equal(kad_memory_count_signed(&fixture, 1), 2);
  close_store(&fixture, *state);
}

/* ------------------------------------------------------------ handles -- */

static void recognises_a_stale_handle(void **state) {
  struct kad_memory_fixture fixture;
  open_store(&fixture, *state);
  kad_record_handle kept = kad_memory_add_value(&fixture, 2, "kept", 1);
  kad_record_handle handle = kad_memory_add_value(&fixture, 1, "old", 1);
  struct kad_record_meta meta = kad_memory_meta(9, kad_memory_host(2));

  kad_store_remove(fixture.store, handle);
  assert_false(kad_memory_has(&fixture, handle));
  kad_record_handle next = kad_memory_add_value(&fixture, 1, "new", 2);
  assert_true(next != handle);
  assert_false(kad_memory_has(&fixture, handle));

  kad_store_remove(fixture.store, handle);
  kad_store_set_meta(fixture.store, handle, &meta);
  struct kad_held held;
  assert_true(kad_store_read(fixture.store, next, &held));
  assert_int_equal(held.meta.stored_at, 2);
  assert_true(kad_memory_has(&fixture, kept));
  assert_false(kad_memory_has(&fixture, 0));
  assert_false(kad_memory_has(&fixture, UINT64_MAX));
  close_store(&fixture, *state);
}

static void recognises_a_stale_handle_after_being_empty(void **state) {
  struct kad_memory_fixture fixture;
  open_store(&fixture, *state);

  kad_record_handle handle = kad_memory_add_value(&fixture, 1, "old", 1);
  kad_store_remove(fixture.store, handle);
  assert_false(kad_memory_has(&fixture, handle));
  kad_memory_add_value(&fixture, 1, "new", 2);

  assert_false(kad_memory_has(&fixture, handle));
  close_store(&fixture, *state);
}

static void next_returns_every_record_once(void **state) {
  enum {
    RECORDS = 100
  };
  struct kad_memory_fixture fixture;
  bool seen[RECORDS] = {false};
  kad_record_handle handles[RECORDS];
  open_store(&fixture, *state);
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
  close_store(&fixture, *state);
}

/* ------------------------------------------------------------- timing -- */

static void due_expire_returns_the_first_to_expire(void **state) {
  static const kad_time_ms moments[] = {50, 20, 90, 20, 70, 10};
  static const kad_time_ms sorted[] = {10, 20, 20, 50, 70, 90};
  struct kad_memory_fixture fixture;
  kad_time_ms at = 0;
  struct kad_held held;
  open_store(&fixture, *state);
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
  close_store(&fixture, *state);
}

static void due_republish_returns_the_first_to_republish(void **state) {
  struct kad_memory_fixture fixture;
  kad_time_ms at = 0;
  open_store(&fixture, *state);
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
  kad_store_set_meta(fixture.store, first, &meta);
  assert_int_equal(kad_store_due_republish(store, &at), second);
  assert_int_equal(at, 40);
  meta.republish_at = 7;
  kad_store_set_meta(fixture.store, never, &meta);
  assert_int_equal(kad_store_due_republish(store, &at), never);
  close_store(&fixture, *state);
}

#define OF_BOTH(test)                                \
  {#test " in memory", test, NULL, NULL, &memory}, { \
#test " in an array", test, NULL, NULL, &array   \
  }

int main(void) {
  const struct CMUnitTest tests[] = {
      OF_BOTH(new_store_is_empty),
      OF_BOTH(reads_every_field_of_a_record),
      OF_BOTH(reads_any_combination_of_fields),
      OF_BOTH(copies_the_record),
      OF_BOTH(separates_types_under_one_key),
      OF_BOTH(separates_short_and_long_keys),
      OF_BOTH(finds_the_newest_first),
      OF_BOTH(finds_a_page),
      OF_BOTH(finds_the_others_after_a_removal),
      OF_BOTH(confirmed_record_becomes_the_newest),
      OF_BOTH(keeps_the_order_when_only_other_times_change),
      OF_BOTH(changes_the_origin),
      OF_BOTH(counts_the_records_of_a_publisher),
      OF_BOTH(recognises_a_stale_handle),
      OF_BOTH(recognises_a_stale_handle_after_being_empty),
      OF_BOTH(next_returns_every_record_once),
      OF_BOTH(due_expire_returns_the_first_to_expire),
      OF_BOTH(due_republish_returns_the_first_to_republish),
  };
  return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

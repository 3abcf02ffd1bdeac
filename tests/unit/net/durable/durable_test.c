/* What a durable store keeps, and when it says that it does. Tests
 * core/net/durable/durable.h, core/net/durable/durable_store.c,
 * core/net/durable/durable_work.c. */

/* For the functions of files. */
#define _GNU_SOURCE

#include "durable_fixture.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kad_durable_fixture fixture;

static int begin(void **state) {
  (void)state;
  kad_durable_fixture_open(&fixture);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_durable_fixture_close(&fixture);
  return 0;
}

static kad_record_handle add(uint32_t key, const char *value) {
  return kad_memory_add_value(&fixture.memory, key, value, fixture.now);
}

static void remove_handle(kad_record_handle handle) {
  kad_store_remove(fixture.memory.store, handle);
}

static size_t count(void) {
  return kad_store_count(fixture.memory.store);
}

/* Returns the handle of the newest value under a key, or 0. */
static kad_record_handle newest(uint32_t key) {
  kad_record_handle handle = 0;
  (void)kad_memory_find(&fixture.memory, key, "value", 0, &handle, 1);
  return handle;
}

static struct kad_held read_newest(uint32_t key) {
  struct kad_held held = {0};
  assert_true(kad_store_read(fixture.memory.store, newest(key), &held));
  return held;
}

static void assert_value(uint32_t key, const char *value) {
  const struct kad_held held = read_newest(key);
  assert_true(kad_slice_equal(held.record.value, kad_slice_of(value)));
}

static struct kad_durable_counters stats(void) {
  struct kad_durable_counters now;
  kad_durable_stats(fixture.durable, &now);
  return now;
}

/* --------------------------------------------------------- what is kept -- */

static void keeps_records_that_were_committed_before_a_crash(void **state) {
  (void)state;
  (void)add(1, "one");
  (void)add(2, "two");
  assert_ok(kad_durable_fixture_commit(&fixture));

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), 2);
  assert_value(1, "one");
  assert_value(2, "two");
}

static void keeps_nothing_that_was_removed(void **state) {
  (void)state;
  const kad_record_handle first = add(1, "one");
  (void)add(2, "two");
  assert_ok(kad_durable_fixture_commit(&fixture));
  remove_handle(first);
  assert_ok(kad_durable_fixture_commit(&fixture));

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), 1);
  assert_value(2, "two");
}

static void keeps_records_after_an_orderly_end(void **state) {
  struct kad_problem problem;
  (void)state;
  (void)add(1, "one");

  kad_durable_fixture_shut(&fixture);
  assert_ok(kad_durable_fixture_reopen(&fixture, &problem));

  assert_int_equal(count(), 1);
  assert_int_equal(stats().disk_loaded, 1);
  assert_int_equal(stats().disk_journal_bytes, KAD_SEGMENT_HEAD);
}

static void keeps_every_field(void **state) {
  static const uint8_t bytes[KAD_ITEM_VALUE_MAX] = {1, 2, 3};
  struct kad_record record = {
      .key = kad_memory_key(9),
      .type = kad_slice_of("value"),
      .value = {bytes, KAD_ITEM_VALUE_MAX},
      .salt = {bytes, KAD_SALT_MAX},
      .publisher = bytes + 1,
      .signature = bytes + 2,
      .seq = INT64_MIN,
      .has_seq = true,
  };
  struct kad_record_meta meta =
      kad_memory_meta(fixture.now - 70000, kad_memory_wide_host(5));
  (void)state;
  meta.expires_at = fixture.now + 1000000;
  meta.republish_at = fixture.now + 500000;
  meta.is_seed = true;
  (void)kad_memory_add(&fixture.memory, &record, &meta);
  assert_ok(kad_durable_fixture_commit(&fixture));

  kad_durable_fixture_crash(&fixture);

  kad_memory_assert_reads(&fixture.memory, newest(9), &record, &meta);
}

static void keeps_the_order_of_the_records_of_a_key(void **state) {
  kad_record_handle handles[3];
  struct kad_held held;
  (void)state;
  const kad_record_handle first = add(1, "first");
  (void)add(1, "second");
  (void)add(1, "third");
  const struct kad_record_meta later =
      kad_memory_meta(fixture.now + 1, kad_memory_host(1));
  kad_store_set_meta(fixture.memory.store, first, &later);
  assert_ok(kad_durable_fixture_commit(&fixture));

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(kad_memory_find(&fixture.memory, 1, "value", 0, handles, 3),
                   3);
  assert_true(kad_store_read(fixture.memory.store, handles[0], &held));
  assert_slice_is(held.record.value, "first");
  assert_true(kad_store_read(fixture.memory.store, handles[2], &held));
  assert_slice_is(held.record.value, "second");
}

static void keeps_new_times_and_origins(void **state) {
  (void)state;
  const kad_record_handle handle = add(1, "one");
  assert_ok(kad_durable_fixture_commit(&fixture));
  struct kad_record_meta meta =
      kad_memory_meta(fixture.now, kad_memory_wide_host(3));
  meta.expires_at = fixture.now + 777;
  meta.republish_at = fixture.now + 333;
  kad_store_set_meta(fixture.memory.store, handle, &meta);
  assert_ok(kad_durable_fixture_commit(&fixture));

  kad_durable_fixture_crash(&fixture);

  const struct kad_held held = read_newest(1);
  assert_int_equal(held.meta.expires_at, fixture.now + 777);
  assert_int_equal(held.meta.republish_at, fixture.now + 333);
  assert_int_equal(held.meta.origin.family, 6);
}

static void changes_without_a_commit_are_written_at_the_interval(void **state) {
  (void)state;
  (void)add(1, "one");
  kad_durable_tick(fixture.durable);

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), 1);
}

/* ---------------------------------------------------------- checkpoints -- */

static void journal_moves_to_the_database_when_it_is_old(void **state) {
  (void)state;
  const kad_record_handle gone = add(1, "one");
  (void)add(2, "two");
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_SEGMENT_MS);

  kad_durable_tick(fixture.durable);

  assert_int_equal(stats().disk_checkpoints, 1);
  assert_int_equal(stats().disk_journal_bytes, KAD_SEGMENT_HEAD);
  remove_handle(gone);
  (void)add(3, "three");
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_crash(&fixture);
  assert_int_equal(count(), 2);
  assert_value(2, "two");
  assert_value(3, "three");
}

/* Both segments have changes that the database lacks. */
static void crash_during_a_checkpoint_loses_nothing(void **state) {
  (void)state;
  const kad_record_handle changed = add(1, "one");
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_SEGMENT_MS);
  fixture.defers = true;
  kad_durable_tick(fixture.durable);
  assert_true(fixture.work_count > 0);
  remove_handle(changed);
  (void)add(2, "two");
  assert_ok(kad_durable_fixture_commit(&fixture));

  kad_durable_fixture_crash(&fixture);
  assert_int_equal(count(), 1);
  assert_value(2, "two");
  fixture.defers = false;
  kad_durable_tick(fixture.durable);
  assert_int_equal(stats().disk_checkpoints, 1);
  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), 1);
}

/* The database has the segment, which was not emptied any more. */
static void segment_that_the_database_has_is_not_applied_again(void **state) {
  char path[128];
  char saved[128];
  (void)state;
  const kad_record_handle handle = add(1, "one");
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_path(&fixture, KAD_DURABLE_SEGMENT "1", path);
  kad_durable_fixture_path(&fixture, "saved", saved);
  assert_ok(link(path, saved));
  FILE *file = fopen(path, "rb");
  char bytes[4096];
  const size_t len = fread(bytes, 1, sizeof bytes, file);
  (void)fclose(file);
  remove_handle(handle);
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_SEGMENT_MS);
  kad_durable_tick(fixture.durable);
  assert_int_equal(stats().disk_checkpoints, 1);
  file = fopen(path, "wb");
  assert_int_equal(fwrite(bytes, 1, len, file), len);
  (void)fclose(file);

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), 0);
}

static void long_journal_moves_at_once(void **state) {
  static char value[KAD_ITEM_VALUE_MAX + 1];
  uint32_t key = 0;
  (void)state;
  memset(value, 'v', KAD_ITEM_VALUE_MAX);
  while (stats().disk_checkpoints == 0) {
    for (int i = 0; i < 500; i++) {
      (void)add(key++, value);
    }
    assert_ok(kad_durable_fixture_commit(&fixture));
    assert_true(key < 20000);
  }
  (void)add(key++, "last");
  assert_ok(kad_durable_fixture_commit(&fixture));

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), key);
}

static void journal_of_a_large_file_is_long_later(void **state) {
  static char value[KAD_VALUE_MAX + 1];
  uint32_t key = 0;
  (void)state;
  memset(value, 'v', KAD_VALUE_MAX);
  fixture.durable->stats.disk_file_bytes =
      (uint64_t)4 * KAD_DURABLE_SEGMENT_BYTES * KAD_DURABLE_SEGMENT_SHARE;

  while (stats().disk_checkpoints == 0) {
    for (int i = 0; i < 500; i++) {
      (void)add(key++, value);
    }
    assert_ok(kad_durable_fixture_commit(&fixture));
    assert_true(key < 20000);
  }

  assert_true((uint64_t)key * KAD_VALUE_MAX >
              (uint64_t)3 * KAD_DURABLE_SEGMENT_BYTES);
}

/* ---------------------------------------------------------- sync commit -- */

static void commit_waits_for_the_flush_if_it_is_to(void **state) {
  (void)state;
  struct kad_problem problem;
  kad_durable_fixture_shut(&fixture);
  fixture.config.sync = KAD_DURABLE_SYNC_COMMIT;
  assert_ok(kad_durable_fixture_reopen(&fixture, &problem));
  fixture.defers = true;
  (void)add(1, "one");

  assert_int_equal(kad_durable_fixture_commit(&fixture), 1);
  assert_value(1, "one"); /* reads go on */
  kad_durable_fixture_work(&fixture);

  assert_ok(kad_durable_fixture_status());
  assert_int_equal(stats().disk_flushes, 1);
}

static void commit_at_an_interval_does_not_wait(void **state) {
  (void)state;
  fixture.defers = true;
  (void)add(1, "one");

  assert_ok(kad_durable_fixture_commit(&fixture));

  assert_int_equal(stats().disk_flushes, 0);
  kad_durable_tick(fixture.durable);
  kad_durable_fixture_work(&fixture);
  assert_int_equal(stats().disk_flushes, 1);
}

static void commit_that_is_forgotten_calls_nobody(void **state) {
  struct kad_problem problem;
  (void)state;
  kad_durable_fixture_shut(&fixture);
  fixture.config.sync = KAD_DURABLE_SYNC_COMMIT;
  assert_ok(kad_durable_fixture_reopen(&fixture, &problem));
  fixture.defers = true;
  struct kad_store *store = fixture.memory.store;
  (void)add(1, "one");
  assert_int_equal(kad_durable_fixture_commit(&fixture), 1);

  store->commit(store->state, fixture.now, NULL, NULL);
  kad_durable_fixture_work(&fixture);

  assert_int_equal(kad_durable_fixture_status(), 1);
}

/* ----------------------------------------------------------------- time -- */

static void time_passes_while_the_store_is_closed(void **state) {
  struct kad_problem problem;
  (void)state;
  struct kad_record record = kad_memory_record(1, "one");
  struct kad_record_meta meta =
      kad_memory_meta(fixture.now, kad_memory_host(1));
  meta.expires_at = fixture.now + 100000;
  (void)kad_memory_add(&fixture.memory, &record, &meta);
  kad_durable_fixture_shut(&fixture);
  kad_durable_fixture_pass(&fixture, 30000);

  assert_ok(kad_durable_fixture_reopen(&fixture, &problem));

  assert_int_equal(read_newest(1).meta.expires_at, fixture.now + 70000);
}

/* After a restart of the machine its clock begins again, and the wall clock may
 * be wrong. */
static void wrong_wall_clock_lets_nothing_expire(void **state) {
  struct kad_problem problem;
  (void)state;
  struct kad_record record = kad_memory_record(1, "one");
  struct kad_record_meta meta =
      kad_memory_meta(fixture.now, kad_memory_host(1));
  meta.expires_at = fixture.now + 100000;
  (void)kad_memory_add(&fixture.memory, &record, &meta);
  kad_durable_fixture_shut(&fixture);
  fixture.now = 20000;
  fixture.reading =
      (struct kad_reading){.wall_s = 5, .boot_s = 20, .boot_id = "boot 2"};

  assert_ok(kad_durable_fixture_reopen(&fixture, &problem));

  assert_int_equal(read_newest(1).meta.expires_at, fixture.now + 80000);
  assert_int_equal(read_newest(1).meta.stored_at, 0);
}

/* ------------------------------------------------------------- not kept -- */

static void torn_frame_counts_as_a_whole_or_not_at_all(void **state) {
  char path[128];
  struct stat status;
  (void)state;
  (void)add(1, "one");
  assert_ok(kad_durable_fixture_commit(&fixture));
  (void)add(2, "two");
  (void)add(3, "three");
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_path(&fixture, KAD_DURABLE_SEGMENT "1", path);
  assert_ok(stat(path, &status));
  assert_ok(truncate(path, status.st_size - 1));

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), 1);
  (void)add(4, "four");
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_crash(&fixture);
  assert_int_equal(count(), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(keeps_records_that_were_committed_before_a_crash),
      TEST(keeps_nothing_that_was_removed),
      TEST(keeps_records_after_an_orderly_end),
      TEST(keeps_every_field),
      TEST(keeps_the_order_of_the_records_of_a_key),
      TEST(keeps_new_times_and_origins),
      TEST(changes_without_a_commit_are_written_at_the_interval),
      TEST(journal_moves_to_the_database_when_it_is_old),
      TEST(crash_during_a_checkpoint_loses_nothing),
      TEST(segment_that_the_database_has_is_not_applied_again),
      TEST(long_journal_moves_at_once),
      TEST(journal_of_a_large_file_is_long_later),
      TEST(commit_waits_for_the_flush_if_it_is_to),
      TEST(commit_at_an_interval_does_not_wait),
      TEST(commit_that_is_forgotten_calls_nobody),
      TEST(time_passes_while_the_store_is_closed),
      TEST(wrong_wall_clock_lets_nothing_expire),
      TEST(torn_frame_counts_as_a_whole_or_not_at_all),
  };
  return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}

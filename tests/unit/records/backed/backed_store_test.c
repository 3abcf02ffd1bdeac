/* A store over a backend that fails, and that outlives it. What it has in
 * common with every store is tested by tests/unit/records/store_test.c. */
#include "array_backend.h"
#include "memory_fixture.h"
#include "unit.h"

#include <string.h>

enum {
  MINUTES_10_MS = 600000
};

static struct kad_array_backend backend;
static struct kad_memory_fixture fixture;
static struct kad_store *store;

static int open_store(void **state) {
  (void)state;
  kad_counting_init(&fixture.counting);
  store = kad_array_backend_open(&backend, &fixture.counting.allocator);
  fixture.store = store;
  return 0;
}

static int close_store(void **state) {
  (void)state;
  kad_backed_store_free(store);
  kad_counting_deinit(&fixture.counting);
  return 0;
}

static void reopen(void) {
  kad_backed_store_free(store);
  store = kad_array_backend_reopen(&backend, &fixture.counting.allocator);
  fixture.store = store;
}

/* A record that the index does not have whole. */
static struct kad_record long_record(uint32_t key) {
  return kad_memory_record(key, "a value of more than 18 bytes");
}

static kad_record_handle add_long(uint32_t key, kad_time_ms stored_at) {
  const struct kad_record record = long_record(key);
  const struct kad_record_meta meta =
      kad_memory_meta(stored_at, kad_memory_host(1));
  return kad_memory_add(&fixture, &record, &meta);
}

/* ------------------------------------------------------------- reading -- */

static void peer_is_read_from_memory(void **state) {
  (void)state;
  const kad_record_handle handle =
      kad_memory_add_value(&fixture, 1, "18 bytes at most..", 1);

  assert_true(kad_memory_has(&fixture, handle));

  assert_int_equal(backend.gets, 0);
}

static void record_is_got_once_until_the_store_changes(void **state) {
  (void)state;
  const kad_record_handle handle = add_long(1, 1);

  assert_true(kad_memory_has(&fixture, handle));
  assert_int_equal(backend.gets, 0); /* it was just put */
  add_long(2, 2);
  assert_true(kad_memory_has(&fixture, handle));
  assert_true(kad_memory_has(&fixture, handle));
  assert_int_equal(backend.gets, 1);
  add_long(3, 3);
  assert_true(kad_memory_has(&fixture, handle));
  assert_int_equal(backend.gets, 2);
}

/* As many as the engine reads of one key. */
static void many_records_are_borrowed_at_a_time(void **state) {
  (void)state;
  static struct kad_held held[KAD_ARRAY_BACKEND_CAP];
  for (uint32_t i = 0; i < KAD_ARRAY_BACKEND_CAP; i++) {
    add_long(i, i);
  }
  uint64_t cursor = 0;
  for (size_t i = 0; i < KAD_ARRAY_BACKEND_CAP; i++) {
    const kad_record_handle handle = kad_store_next(store, &cursor);
    assert_true(kad_store_read(store, handle, &held[i]));
  }

  for (size_t i = 0; i < KAD_ARRAY_BACKEND_CAP; i++) {
    assert_slice_is(held[i].record.value, "a value of more than 18 bytes");
  }
}

/* Reads without a change do not fill the memory. */
static void memory_of_reads_is_bounded(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 8; i++) {
    add_long(i, i);
  }
  const size_t before = fixture.counting.bytes;
  for (size_t round = 0; round < 4096; round++) {
    uint64_t cursor = 0;
    kad_record_handle handle = kad_store_next(store, &cursor);
    while (handle != 0) {
      assert_true(kad_memory_has(&fixture, handle));
      handle = kad_store_next(store, &cursor);
    }
  }

  assert_true(fixture.counting.bytes < before + 2048 * 1300);
}

static void bytes_count_what_the_backend_keeps(void **state) {
  (void)state;
  char value[900];
  memset(value, 'v', sizeof value);
  struct kad_record record = kad_memory_record(1, "");
  record.value = (struct kad_slice){(const uint8_t *)value, sizeof value};
  const struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  const kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);

  assert_true(kad_store_bytes(store) > 900);
  assert_true(fixture.counting.bytes < 16000);
  kad_store_remove(store, handle);
  assert_int_equal(kad_store_bytes(store), 0);
}

/* Not the host with the most records, but that with the most bytes. */
static void victim_is_of_the_host_with_the_most_bytes(void **state) {
  (void)state;
  char value[900];
  const struct kad_id self = kad_memory_key(0);
  memset(value, 'v', sizeof value);
  struct kad_record record = kad_memory_record(1, "");
  record.value = (struct kad_slice){(const uint8_t *)value, sizeof value};
  const struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(2));
  for (uint32_t i = 0; i < 4; i++) {
    kad_memory_add_value(&fixture, 10 + i, "v", 1);
  }
  const kad_record_handle large = kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_store_victim(store, &self), large);
}

/* ------------------------------------------------------------- failing -- */

static void record_that_is_not_put_is_not_held(void **state) {
  (void)state;
  const struct kad_record record = long_record(1);
  const struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  kad_record_handle handle = 77;
  backend.error = KAD_ESYSTEM;

  assert_int_equal(kad_store_add(store, &record, &meta, &handle), KAD_ESYSTEM);

  assert_int_equal(handle, 77);
  assert_int_equal(kad_store_count(store), 0);
  assert_int_equal(kad_store_bytes(store), 0);
  assert_true(kad_store_failures(store) > 0);
}

static void record_that_cannot_be_got_is_held_still(void **state) {
  (void)state;
  struct kad_held held;
  const kad_record_handle handle = add_long(1, 1);
  kad_memory_add_value(&fixture, 9, "v", 1);
  backend.get_error = KAD_ESYSTEM;

  assert_false(kad_store_read(store, handle, &held));
  assert_int_equal(kad_store_failures(store), 1);
  kad_memory_add_value(&fixture, 2, "v", 2);
  assert_int_equal(kad_store_count(store), 3);

  backend.get_error = 0;
  assert_true(kad_store_read(store, handle, &held));
}

static void lost_record_is_forgotten_at_the_next_change(void **state) {
  (void)state;
  struct kad_held held;
  const kad_record_handle handle = add_long(1, 1);
  kad_memory_add_value(&fixture, 9, "v", 1);
  kad_array_backend_find(&backend, 1)->number = 0;

  assert_false(kad_store_read(store, handle, &held));
  assert_false(kad_store_read(store, handle, &held));
  kad_memory_add_value(&fixture, 2, "v", 2);

  assert_int_equal(kad_store_count(store), 2);
  assert_int_equal(kad_store_failures(store), 2);
}

/* Another program may have changed the files. */
static void changed_record_is_a_failure(void **state) {
  (void)state;
  struct kad_held held;
  const kad_record_handle handle = add_long(1, 1);
  kad_memory_add_value(&fixture, 9, "v", 1);
  struct kad_array_kept *kept = kad_array_backend_find(&backend, 1);
  const struct kad_record right = kept->record;

  kept->record.key.bytes[5]++;
  assert_false(kad_store_read(store, handle, &held));
  kept->record = right;
  kept->record.type.len--;
  assert_false(kad_store_read(store, handle, &held));
  kept->record = right;
  kept->record.value.len--;
  assert_false(kad_store_read(store, handle, &held));
  kept->record = right;
  kept->record.value.len = KAD_VALUE_MAX + 1;
  assert_false(kad_store_read(store, handle, &held));
  assert_int_equal(kad_store_failures(store), 4);
  kept->record = right;
  assert_true(kad_store_read(store, handle, &held));
}

static void unreadable_record_is_republished_later(void **state) {
  (void)state;
  struct kad_held held;
  kad_time_ms at;
  const struct kad_record record = long_record(1);
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  meta.republish_at = 100;
  const kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);
  meta.republish_at = 200;
  const kad_record_handle other = kad_memory_add(&fixture, &record, &meta);
  kad_memory_add_value(&fixture, 9, "v", 1);
  backend.get_error = KAD_ESYSTEM;

  assert_false(kad_store_read(store, handle, &held));

  assert_int_equal(kad_store_due_republish(store, &at), other);
  kad_store_remove(store, other);
  assert_int_equal(kad_store_due_republish(store, &at), handle);
  assert_int_equal(at, 100 + MINUTES_10_MS);
}

static void removal_that_failed_is_tried_again(void **state) {
  (void)state;
  const kad_record_handle handle = add_long(1, 1);
  backend.error = KAD_ESYSTEM;
  kad_store_remove(store, handle);
  assert_int_equal(kad_store_count(store), 0);
  assert_int_equal(kad_array_backend_count(&backend), 1);
  backend.error = 0;

  kad_memory_add_value(&fixture, 2, "v", 2);

  assert_null(kad_array_backend_find(&backend, 1));
  reopen();
  assert_int_equal(kad_store_count(store), 1);
}

static void times_that_were_not_kept_are_tried_again(void **state) {
  (void)state;
  const kad_record_handle handle = add_long(1, 1);
  const struct kad_record_meta later = kad_memory_meta(50, kad_memory_host(1));
  backend.error = KAD_ESYSTEM;
  kad_store_set_meta(store, handle, &later);
  assert_int_equal(kad_array_backend_find(&backend, 1)->meta.stored_at, 1);
  backend.error = 0;

  kad_backed_store_free(store);

  assert_int_equal(kad_array_backend_find(&backend, 1)->meta.stored_at, 50);
  store = kad_array_backend_reopen(&backend, &fixture.counting.allocator);
}

/* More than are noted fail: the backend is asked no more than twice a change.
 */
static void changes_that_fail_without_end_are_bounded(void **state) {
  (void)state;
  const struct kad_record record = long_record(1);
  const struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  kad_record_handle handle;
  backend.error = KAD_ESYSTEM;

  for (size_t i = 0; i < (size_t)3 * KAD_BACKED_RETRIES_MAX; i++) {
    assert_int_equal(kad_store_add(store, &record, &meta, &handle),
                     KAD_ESYSTEM);
  }

  assert_int_equal(kad_store_failures(store),
                   (uint64_t)9 * KAD_BACKED_RETRIES_MAX);
  assert_true(fixture.counting.bytes < 65536);
}

static void note_status(void *data, int status) {
  int *const statuses = data;
  statuses[0]++;
  statuses[1] = status;
}

static void commit_is_that_of_the_backend(void **state) {
  (void)state;
  int statuses[2] = {0, 7};
  store->commit(store->state, 1, note_status, statuses);
  assert_int_equal(statuses[0], 1);
  assert_int_equal(statuses[1], 0);
  backend.commit_error = KAD_ESYSTEM;
  store->commit(store->state, 2, note_status, statuses);
  assert_int_equal(statuses[1], KAD_ESYSTEM);
  store->commit(store->state, 3, NULL, NULL);
  assert_int_equal(backend.commits, 3);
  assert_int_equal(kad_store_failures(store), 2);
}

static void backend_without_commit_needs_none(void **state) {
  (void)state;
  static struct kad_array_backend simple;
  struct kad_store *made =
      kad_array_backend_open_simple(&simple, &fixture.counting.allocator);
  assert_null(made->commit);
  kad_backed_store_free(made);
}

/* ----------------------------------------------------------- restarting -- */

static void restored_records_are_as_before(void **state) {
  (void)state;
  kad_record_handle found[4];
  struct kad_held held;
  add_long(1, 30);
  kad_memory_add_value(&fixture, 1, "b", 10);
  kad_memory_add_value(&fixture, 1, "c", 20);
  kad_store_remove(store, kad_memory_add_value(&fixture, 1, "d", 40));
  const size_t bytes = kad_store_bytes(store);

  reopen();

  assert_int_equal(kad_store_bytes(store), bytes);
  assert_int_equal(kad_memory_find(&fixture, 1, "value", 0, found, 4), 3);
  assert_true(kad_store_read(store, found[0], &held));
  assert_slice_is(held.record.value, "a value of more than 18 bytes");
  assert_int_equal(held.meta.expires_at, 1030);
  assert_true(kad_store_read(store, found[1], &held));
  assert_slice_is(held.record.value, "c");
  assert_true(kad_store_read(store, found[2], &held));
  assert_slice_is(held.record.value, "b");
  const struct kad_address host = kad_memory_host(1);
  assert_int_equal(kad_store_count_of(store, &host), 3);
}

/* Else a new record would replace an old one. */
static void numbers_continue_after_the_restored_ones(void **state) {
  (void)state;
  add_long(1, 1);
  add_long(2, 2);
  reopen();

  add_long(3, 3);

  assert_non_null(kad_array_backend_find(&backend, 3));
  assert_int_equal(kad_array_backend_count(&backend), 3);
}

static void invalid_records_are_not_restored(void **state) {
  (void)state;
  struct kad_record record = long_record(1);
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  assert_int_equal(kad_backed_store_restore(store, 0, &record, &meta, 0),
                   KAD_EINVAL);
  assert_int_equal(kad_backed_store_restore(store, KAD_BACKED_NUMBER_MAX + 1,
                                            &record, &meta, 0),
                   KAD_EINVAL);
  record.value.len = KAD_VALUE_MAX + 1;
  assert_int_equal(kad_backed_store_restore(store, 1, &record, &meta, 0),
                   KAD_EINVAL);
  record = long_record(1);
  record.salt.len = KAD_SALT_MAX + 1;
  assert_int_equal(kad_backed_store_restore(store, 1, &record, &meta, 0),
                   KAD_EINVAL);
  record = long_record(1);
  record.type.len = 0;
  assert_int_equal(kad_backed_store_restore(store, 1, &record, &meta, 0),
                   KAD_EINVAL);
  record = long_record(1);
  meta.origin.family = 5;
  assert_int_equal(kad_backed_store_restore(store, 1, &record, &meta, 0),
                   KAD_EINVAL);
  meta = kad_memory_meta(1, kad_memory_host(1));
  meta.expires_at = 0;
  assert_int_equal(kad_backed_store_restore(store, 1, &record, &meta, 0),
                   KAD_EINVAL);
  assert_int_equal(kad_store_count(store), 0);
}

/* ------------------------------------------------------------- memory -- */

/* Opens, changes, reads and restarts. Returns false if memory ended. */
static bool live(struct kad_counting_allocator *counting) {
  const uint8_t secret[KAD_BACKED_SECRET_SIZE] = {0};
  static struct kad_array_backend lives;
  const struct kad_record record = long_record(1);
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  kad_record_handle handle = 0;
  struct kad_held held;
  (void)secret;
  struct kad_store *it = kad_array_backend_open(&lives, &counting->allocator);
  int status = kad_store_add(it, &record, &meta, &handle);
  if (status == 0) {
    (void)kad_store_read(it, handle, &held);
    lives.error = KAD_ESYSTEM;
    meta.stored_at = 2;
    kad_store_set_meta(it, handle, &meta);
    lives.error = 0;
    kad_backed_store_sort(it);
    kad_store_remove(it, handle);
  }
  assert_int_equal(kad_store_count(it), 0);
  kad_backed_store_free(it);
  return !counting->has_failed;
}

static void nothing_leaks_when_memory_ends(void **state) {
  struct kad_counting_allocator counting;
  bool has_lived = false;
  (void)state;
  kad_counting_init(&counting);

  for (size_t i = 2; !has_lived; i++) { /* the first two open the store */
    kad_counting_fail_at(&counting, i);
    has_lived = live(&counting);
  }

  kad_counting_deinit(&counting);
}

static void store_is_not_made_without_memory(void **state) {
  const struct kad_backend none = {.state = NULL};
  const uint8_t secret[KAD_BACKED_SECRET_SIZE] = {0};
  struct kad_store *made = NULL;
  (void)state;
  assert_int_equal(
      kad_backed_store_new(&none, &fixture.counting.allocator, secret, &made),
      KAD_EINVAL);
  assert_null(made);
}

#define WITH_STORE(test) \
  { #test, test, open_store, close_store, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_STORE(peer_is_read_from_memory),
      WITH_STORE(record_is_got_once_until_the_store_changes),
      WITH_STORE(many_records_are_borrowed_at_a_time),
      WITH_STORE(memory_of_reads_is_bounded),
      WITH_STORE(bytes_count_what_the_backend_keeps),
      WITH_STORE(victim_is_of_the_host_with_the_most_bytes),
      WITH_STORE(record_that_is_not_put_is_not_held),
      WITH_STORE(record_that_cannot_be_got_is_held_still),
      WITH_STORE(lost_record_is_forgotten_at_the_next_change),
      WITH_STORE(changed_record_is_a_failure),
      WITH_STORE(unreadable_record_is_republished_later),
      WITH_STORE(removal_that_failed_is_tried_again),
      WITH_STORE(times_that_were_not_kept_are_tried_again),
      WITH_STORE(changes_that_fail_without_end_are_bounded),
      WITH_STORE(commit_is_that_of_the_backend),
      WITH_STORE(backend_without_commit_needs_none),
      WITH_STORE(restored_records_are_as_before),
      WITH_STORE(numbers_continue_after_the_restored_ones),
      WITH_STORE(invalid_records_are_not_restored),
      cmocka_unit_test(nothing_leaks_when_memory_ends),
      WITH_STORE(store_is_not_made_without_memory),
  };
  return cmocka_run_group_tests_name("backed_store", tests, NULL, NULL);
}

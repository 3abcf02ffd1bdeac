/* Records that are loaded into a store. */
#include "records/load.h"

#include "memory_fixture.h"
#include "unit.h"

#include <stdio.h>

enum {
  BITS = 160
};

static struct kad_memory_fixture fixture;
static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t secret[KAD_SECRET_SIZE];

static int open_store(void **state) {
  const uint8_t seed[32] = {1, 2, 3};
  (void)state;
  kad_keypair(seed, publisher, secret);
  kad_memory_open(&fixture);
  return 0;
}

static int close_store(void **state) {
  (void)state;
  kad_memory_close(&fixture);
  return 0;
}

/* Returns a signed record, whose signature is in a static array. */
static struct kad_record make_signed(const char *value, int64_t seq) {
  static uint8_t signatures[4][KAD_SIGNATURE_SIZE];
  static size_t made;
  struct kad_record record = kad_memory_record(1, value);
  uint8_t *const signature = signatures[made++ % 4];
  record.publisher = publisher;
  record.has_seq = true;
  record.seq = seq;
  assert_ok(kad_record_sign(&record, BITS, secret, signature));
  record.signature = signature;
  return record;
}

static int check(const struct kad_record *record) {
  const char *reason = NULL;
  const int error = kad_load_check(record, BITS, &reason);
  assert_int_equal(error == 0, reason == NULL);
  return error;
}

static enum kad_load_outcome load(const struct kad_record *record,
                                  kad_time_ms stored_at) {
  const struct kad_record_meta meta =
      kad_memory_meta(stored_at, kad_memory_host(1));
  enum kad_load_outcome outcome = KAD_LOAD_OLDER;
  assert_ok(check(record));
  assert_ok(kad_load(fixture.store, record, &meta, &outcome));
  return outcome;
}

/* -------------------------------------------------------------- checking -- */

static void plain_value_is_taken(void **state) {
  (void)state;
  const struct kad_record record = kad_memory_record(1, "v");
  assert_ok(check(&record));
}

static void malformed_records_are_refused(void **state) {
  (void)state;
  uint8_t long_value[KAD_VALUE_MAX + 1] = {0};
  struct kad_record record = kad_memory_record(1, "v");
  record.value = (struct kad_slice){long_value, sizeof long_value};
  assert_int_equal(check(&record), KAD_ETOOBIG);
  record = kad_memory_record(1, "v");
  record.salt = (struct kad_slice){long_value, KAD_SALT_MAX + 1};
  assert_int_equal(check(&record), KAD_ETOOBIG);
  record = kad_memory_record(1, "v");
  record.type = (struct kad_slice){NULL, 0};
  assert_int_equal(check(&record), KAD_EMALFORMED);
  record = kad_memory_record(1, "v");
  record.publisher = publisher;
  assert_int_equal(check(&record), KAD_EMALFORMED);
  record = kad_memory_record(1, "v");
  record.key.bytes[KAD_ID_SIZE - 1] = 1;
  assert_int_equal(check(&record), KAD_EMALFORMED);
}

static void wrong_signatures_are_refused(void **state) {
  (void)state;
  struct kad_record record = make_signed("v", 1);
  assert_ok(check(&record));
  record.seq = 2;
  assert_int_equal(check(&record), KAD_ESIGNATURE);
  record.seq = 1;
  record.value = kad_slice_of("w");
  assert_int_equal(check(&record), KAD_ESIGNATURE);
}

static void peers_must_be_addresses(void **state) {
  (void)state;
  struct kad_record record = kad_memory_record(1, "\x7f\x01\x02\x03\x1a\xe1");
  record.type = kad_slice_of("peers");
  assert_ok(check(&record));
  record.value.len = 5;
  assert_int_equal(check(&record), KAD_EMALFORMED);
}

static void items_must_have_their_targets(void **state) {
  (void)state;
  struct kad_record record = {.type = kad_slice_of("immutable"),
                              .value = kad_slice_of("5:hello")};
  assert_ok(kad_item_target_immutable(record.value, &record.key));
  assert_ok(check(&record));
  record.value = kad_slice_of("5:hellO");
  assert_int_equal(check(&record), KAD_EMALFORMED);
  record.value = kad_slice_of("hello");
  assert_int_equal(check(&record), KAD_EMALFORMED);
  assert_int_equal(kad_load_check(&record, 256, NULL), KAD_EMALFORMED);
}

static void mutable_items_must_be_signed(void **state) {
  (void)state;
  uint8_t signature[KAD_SIGNATURE_SIZE];
  struct kad_record item = {.type = kad_slice_of("mutable"),
                            .value = kad_slice_of("5:hello"),
                            .publisher = publisher,
                            .signature = signature,
                            .has_seq = true,
                            .seq = 3};
  assert_ok(kad_item_target_mutable(publisher, item.salt, &item.key));
  assert_ok(kad_item_sign(item.value, item.salt, 3, secret, signature));
  assert_ok(check(&item));
  signature[5] ^= 1;
  assert_int_equal(check(&item), KAD_ESIGNATURE);
}

/* --------------------------------------------------------------- loading -- */

static void record_is_loaded_once(void **state) {
  (void)state;
  const struct kad_record record = kad_memory_record(1, "v");
  assert_int_equal(load(&record, 1), KAD_LOAD_ADDED);
  assert_int_equal(load(&record, 1), KAD_LOAD_HELD);
  assert_int_equal(kad_store_count(fixture.store), 1);
}

static void longer_life_counts(void **state) {
  (void)state;
  kad_record_handle handle = 0;
  struct kad_held held;
  const struct kad_record record = kad_memory_record(1, "v");
  (void)load(&record, 100);
  (void)load(&record, 50);
  (void)kad_memory_find(&fixture, 1, "value", 0, &handle, 1);
  assert_true(kad_store_read(fixture.store, handle, &held));
  assert_int_equal(held.meta.expires_at, 1100);
  (void)load(&record, 200);
  assert_true(kad_store_read(fixture.store, handle, &held));
  assert_int_equal(held.meta.expires_at, 1200);
}

static void newer_record_replaces_an_older_one(void **state) {
  (void)state;
  const struct kad_record first = make_signed("first", 1);
  const struct kad_record second = make_signed("second", 2);
  assert_int_equal(load(&second, 1), KAD_LOAD_ADDED);
  assert_int_equal(load(&first, 1), KAD_LOAD_OLDER);
  assert_int_equal(kad_store_count(fixture.store), 1);
}

static void older_record_makes_room(void **state) {
  (void)state;
  const struct kad_record first = make_signed("first", 1);
  const struct kad_record second = make_signed("second", 2);
  assert_int_equal(load(&first, 1), KAD_LOAD_ADDED);
  assert_int_equal(load(&second, 1), KAD_LOAD_ADDED);
  assert_int_equal(kad_store_count(fixture.store), 1);
}

static void other_values_stay(void **state) {
  (void)state;
  const struct kad_record a = kad_memory_record(1, "a");
  const struct kad_record b = kad_memory_record(1, "b");
  assert_int_equal(load(&a, 1), KAD_LOAD_ADDED);
  assert_int_equal(load(&b, 1), KAD_LOAD_ADDED);
  assert_int_equal(load(&a, 1), KAD_LOAD_HELD);
  assert_int_equal(kad_store_count(fixture.store), 2);
}

static void values_of_a_key_are_bounded(void **state) {
  (void)state;
  char value[8];
  const struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
  enum kad_load_outcome outcome;
  for (unsigned i = 0; i < KAD_VALUES_MAX; i++) {
    (void)snprintf(value, sizeof value, "%u", i);
    const struct kad_record record = kad_memory_record(1, value);
    assert_ok(kad_load(fixture.store, &record, &meta, &outcome));
  }

  const struct kad_record more = kad_memory_record(1, "more");
  assert_int_equal(kad_load(fixture.store, &more, &meta, &outcome), KAD_EFULL);
  const struct kad_record last = kad_memory_record(1, "1023");
  assert_int_equal(load(&last, 1), KAD_LOAD_HELD);
}

#define WITH_STORE(test) \
  { #test, test, open_store, close_store, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_STORE(plain_value_is_taken),
      WITH_STORE(malformed_records_are_refused),
      WITH_STORE(wrong_signatures_are_refused),
      WITH_STORE(peers_must_be_addresses),
      WITH_STORE(items_must_have_their_targets),
      WITH_STORE(mutable_items_must_be_signed),
      WITH_STORE(record_is_loaded_once),
      WITH_STORE(longer_life_counts),
      WITH_STORE(newer_record_replaces_an_older_one),
      WITH_STORE(older_record_makes_room),
      WITH_STORE(other_values_stay),
      WITH_STORE(values_of_a_key_are_bounded),
  };
  return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}

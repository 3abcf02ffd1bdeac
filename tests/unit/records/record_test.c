#include "records/record.h"

#include "unit.h"

static const uint8_t alice[KAD_PUBLISHER_SIZE] = {1};
static const uint8_t bob[KAD_PUBLISHER_SIZE] = {2};
static const uint8_t signature[KAD_SIGNATURE_SIZE] = {3};
static const uint8_t bytes[KAD_VALUE_MAX + 1];

static struct kad_record plain(const char *value) {
  return (struct kad_record){.type = kad_slice_of("value"),
                             .value = kad_slice_of(value)};
}

static struct kad_record versioned(const uint8_t *publisher, int64_t seq,
                                   const char *value) {
  struct kad_record record = plain(value);
  record.publisher = publisher;
  record.signature = signature;
  record.has_seq = true;
  record.seq = seq;
  return record;
}

static void accepts_plain_and_signed_records(void **state) {
  (void)state;
  struct kad_record empty = plain("");
  struct kad_record signed_one = versioned(alice, 1, "v");
  struct kad_record largest = plain("");
  largest.value = (struct kad_slice){bytes, KAD_VALUE_MAX};
  largest.salt = (struct kad_slice){bytes, KAD_SALT_MAX};

  assert_ok(kad_record_check(&empty));
  assert_ok(kad_record_check(&signed_one));
  assert_ok(kad_record_check(&largest));
}

static void rejects_a_record_above_a_limit(void **state) {
  (void)state;
  struct kad_record value = plain("");
  value.value = (struct kad_slice){bytes, KAD_VALUE_MAX + 1};
  struct kad_record salt = plain("");
  salt.salt = (struct kad_slice){bytes, KAD_SALT_MAX + 1};

  assert_int_equal(kad_record_check(&value), KAD_ETOOBIG);
  assert_int_equal(kad_record_check(&salt), KAD_ETOOBIG);
}

static void rejects_an_empty_or_long_type_name(void **state) {
  (void)state;
  struct kad_record none = plain("v");
  none.type = (struct kad_slice){0};
  struct kad_record longest = plain("v");
  longest.type = (struct kad_slice){bytes, KAD_TYPE_NAME_MAX};
  struct kad_record longer = plain("v");
  longer.type = (struct kad_slice){bytes, KAD_TYPE_NAME_MAX + 1};

  assert_int_equal(kad_record_check(&none), KAD_EINVAL);
  assert_ok(kad_record_check(&longest));
  assert_int_equal(kad_record_check(&longer), KAD_EINVAL);
}

static void rejects_a_publisher_or_a_signature_alone(void **state) {
  (void)state;
  struct kad_record no_signature = versioned(alice, 1, "v");
  no_signature.signature = NULL;
  struct kad_record no_publisher = versioned(NULL, 1, "v");

  assert_int_equal(kad_record_check(&no_signature), KAD_EINVAL);
  assert_int_equal(kad_record_check(&no_publisher), KAD_EINVAL);
}

static void same_means_value_publisher_and_salt(void **state) {
  (void)state;
  struct kad_record a = plain("v");
  struct kad_record same = plain("v");
  struct kad_record other = plain("w");
  struct kad_record salted = plain("v");
  salted.salt = kad_slice_of("s");
  struct kad_record alices = versioned(alice, 1, "v");
  struct kad_record bobs = versioned(bob, 1, "v");
  struct kad_record alices_later = versioned(alice, 2, "v");

  assert_true(kad_record_same(&a, &same));
  assert_false(kad_record_same(&a, &other));
  assert_false(kad_record_same(&a, &salted));
  assert_false(kad_record_same(&a, &alices));
  assert_false(kad_record_same(&alices, &a));
  assert_false(kad_record_same(&alices, &bobs));
  assert_true(kad_record_same(&alices, &alices_later));
}

static void signed_record_replaces_an_equal_or_lower_seq(void **state) {
  (void)state;
  struct kad_record held = versioned(alice, 5, "held");
  struct kad_record higher = versioned(alice, 6, "new");
  struct kad_record equal = versioned(alice, 5, "new");
  struct kad_record lower = versioned(alice, 4, "new");
  struct kad_record bobs = versioned(bob, 9, "new");
  struct kad_record salted = versioned(alice, 9, "new");
  salted.salt = kad_slice_of("s");

  assert_true(kad_record_replaces(&higher, &held));
  assert_true(kad_record_replaces(&equal, &held));
  assert_false(kad_record_replaces(&lower, &held));
  assert_false(kad_record_replaces(&bobs, &held));
  assert_false(kad_record_replaces(&salted, &held));
}

static void unsigned_record_replaces_only_the_same_value(void **state) {
  (void)state;
  struct kad_record held = plain("v");
  struct kad_record same = plain("v");
  struct kad_record other = plain("w");
  other.has_seq = true;
  other.seq = INT64_MAX;
  struct kad_record alices = versioned(alice, 1, "v");

  assert_true(kad_record_replaces(&same, &held));
  assert_false(kad_record_replaces(&other, &held));
  assert_false(kad_record_replaces(&same, &alices));
  assert_false(kad_record_replaces(&alices, &held));
}

static void counts_an_absent_seq_as_zero(void **state) {
  (void)state;
  struct kad_record without = versioned(alice, 77, "v");
  without.has_seq = false;
  struct kad_record zero = versioned(alice, 0, "w");
  struct kad_record one = versioned(alice, 1, "w");
  struct kad_record negative = versioned(alice, -1, "w");

  assert_true(kad_record_replaces(&without, &zero));
  assert_true(kad_record_replaces(&zero, &without));
  assert_true(kad_record_is_older(&without, &one));
  assert_true(kad_record_is_older(&negative, &without));
}

static void lower_seq_of_the_same_publisher_is_older(void **state) {
  (void)state;
  struct kad_record held = versioned(alice, INT64_MAX, "held");
  struct kad_record lower = versioned(alice, INT64_MIN, "new");
  struct kad_record equal = versioned(alice, INT64_MAX, "new");
  struct kad_record bobs = versioned(bob, 0, "new");
  struct kad_record none = plain("new");

  assert_true(kad_record_is_older(&lower, &held));
  assert_false(kad_record_is_older(&equal, &held));
  assert_false(kad_record_is_older(&held, &lower));
  assert_false(kad_record_is_older(&bobs, &held));
  assert_false(kad_record_is_older(&none, &held));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepts_plain_and_signed_records),
      cmocka_unit_test(rejects_a_record_above_a_limit),
      cmocka_unit_test(rejects_an_empty_or_long_type_name),
      cmocka_unit_test(rejects_a_publisher_or_a_signature_alone),
      cmocka_unit_test(same_means_value_publisher_and_salt),
      cmocka_unit_test(signed_record_replaces_an_equal_or_lower_seq),
      cmocka_unit_test(unsigned_record_replaces_only_the_same_value),
      cmocka_unit_test(counts_an_absent_seq_as_zero),
      cmocka_unit_test(lower_seq_of_the_same_publisher_is_older),
  };
  return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}

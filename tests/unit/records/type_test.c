#include "records/type.h"

#include "base/address.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static int check_name(const char *name) {
  const struct kad_type type = {.name = name};
  return kad_type_check(&type);
}

static const struct kad_type *find(const struct kad_rules *types, size_t count,
                                   const char *name) {
  const struct kad_rules *found =
      kad_types_find(types, count, kad_slice_of(name));
  return found == NULL ? NULL : &found->rules;
}

static void accept(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *answer) {
  (void)state;
  (void)call;
  answer->verdict = KAD_VERDICT_ACCEPT;
}

static void accepts_names_of_lower_case_digits_and_marks(void **state) {
  (void)state;

  assert_ok(check_name("a"));
  assert_ok(check_name("my-type_2.0"));
  assert_ok(check_name("abcdefghijklmnopqrstuvwxyz012345"));
}

static void rejects_other_names(void **state) {
  (void)state;

  assert_int_equal(check_name(NULL), KAD_EINVAL);
  assert_int_equal(check_name(""), KAD_EINVAL);
  assert_int_equal(check_name("Upper"), KAD_EINVAL);
  assert_int_equal(check_name("two words"), KAD_EINVAL);
  assert_int_equal(check_name("caf\xc3\xa9"), KAD_EINVAL);
  assert_int_equal(check_name("abcdefghijklmnopqrstuvwxyz0123456"), KAD_EINVAL);
}

static void rejects_a_max_size_above_the_limit(void **state) {
  (void)state;
  struct kad_type type = {.name = "t", .max_size = KAD_VALUE_MAX};

  assert_ok(kad_type_check(&type));
  type.max_size++;
  assert_int_equal(kad_type_check(&type), KAD_EINVAL);
}

/* Values above this number would be neither compared nor counted. */
static void rejects_a_max_values_above_the_limit(void **state) {
  (void)state;
  struct kad_type type = {.name = "wide", .max_values = KAD_VALUES_MAX};

  assert_int_equal(KAD_VALUES_MAX, 1024);
  assert_ok(kad_type_check(&type));
  type.max_values++;
  assert_int_equal(kad_type_check(&type), KAD_EINVAL);
}

static void rejects_signed_only_peers(void **state) {
  (void)state;
  const struct kad_type type = {.name = "peers", .signed_only = true};

  assert_int_equal(kad_type_check(&type), KAD_EINVAL);
}

static void has_four_types_built_in(void **state) {
  (void)state;
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 0;

  assert_ok(kad_types_build(NULL, 0, types, &count));

  assert_int_equal(count, 4);
  const struct kad_type *peers = find(types, count, "peers");
  assert_non_null(peers);
  assert_int_equal(peers->max_size, 18);
  assert_int_equal(peers->max_values, 500);
  assert_int_equal(peers->ttl, 2700);
  assert_int_equal(peers->republish, UINT32_MAX);
  const struct kad_type *value = find(types, count, "value");
  assert_non_null(value);
  assert_int_equal(value->max_size, 1000);
  assert_int_equal(value->max_values, 64);
  assert_int_equal(value->ttl, 86400);
  assert_int_equal(value->republish, 3600);
}

/* BEP 44 "Expiration". */
static void bep44_items_live_two_hours_and_are_republished_hourly(
    void **state) {
  static const char *const names[] = {"immutable", "mutable"};
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 0;
  (void)state;
  assert_ok(kad_types_build(NULL, 0, types, &count));
  for (size_t i = 0; i < 2; i++) {
    const struct kad_type *type = find(types, count, names[i]);
    assert_non_null(type);
    assert_int_equal(type->max_size, 1000);
    assert_int_equal(type->max_values, 1);
    assert_int_equal(type->ttl, 7200);
    assert_int_equal(type->republish, 3600);
  }
}

static void an_item_has_one_value_and_its_own_signature(void **state) {
  struct kad_type type = {.name = "mutable", .max_values = 1};
  (void)state;
  assert_ok(kad_type_check(&type));
  type.max_values = 2;
  assert_int_equal(kad_type_check(&type), KAD_EINVAL);
  type = (struct kad_type){.name = "mutable", .signed_only = true};
  assert_ok(kad_type_check(&type));
  type.name = "immutable";
  assert_int_equal(kad_type_check(&type), KAD_EINVAL);
}

static void new_type_has_the_defaults(void **state) {
  (void)state;
  char name[] = "counter";
  const struct kad_type type = {
      .name = name, .max_values = 1, .signed_only = true, .validate = accept};
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 0;

  assert_ok(kad_types_build(&type, 1, types, &count));
  memset(name, 'x', sizeof name - 1);

  assert_int_equal(count, 5);
  const struct kad_type *counter = find(types, count, "counter");
  assert_non_null(counter);
  assert_string_equal(counter->name, "counter");
  assert_int_equal(counter->max_size, 1000);
  assert_int_equal(counter->max_values, 1);
  assert_int_equal(counter->ttl, 86400);
  assert_int_equal(counter->republish, 3600);
  assert_true(counter->signed_only);
  assert_ptr_equal(counter->validate, accept);
}

static void refines_a_built_in_type(void **state) {
  (void)state;
  int hooks = 0;
  const struct kad_type refined = {
      .name = "peers", .max_values = 1024, .state = &hooks, .merge = accept};
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 0;

  assert_ok(kad_types_build(&refined, 1, types, &count));

  assert_int_equal(count, 4);
  const struct kad_type *peers = find(types, count, "peers");
  assert_int_equal(peers->max_size, 18);
  assert_int_equal(peers->max_values, 1024);
  assert_int_equal(peers->ttl, 2700);
  assert_int_equal(peers->republish, UINT32_MAX);
  assert_ptr_equal(peers->state, &hooks);
  assert_ptr_equal(peers->merge, accept);
}

static void rejects_a_duplicate_name(void **state) {
  (void)state;
  const struct kad_type twice[] = {{.name = "a"}, {.name = "b"}, {.name = "a"}};
  const struct kad_type refined[] = {{.name = "value"}, {.name = "value"}};
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 77;

  assert_int_equal(kad_types_build(twice, 3, types, &count), KAD_ECONFLICT);
  assert_int_equal(kad_types_build(refined, 2, types, &count), KAD_ECONFLICT);
  assert_int_equal(count, 77);
}

static void rejects_an_invalid_type(void **state) {
  (void)state;
  const struct kad_type invalid[] = {{.name = "a"}, {.name = "B"}};
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 0;

  assert_int_equal(kad_types_build(invalid, 2, types, &count), KAD_EINVAL);
}

static void accepts_up_to_62_new_types(void **state) {
  (void)state;
  char names[KAD_TYPES_MAX][8];
  struct kad_type given[KAD_TYPES_MAX] = {{.name = "peers"}};
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 0;
  for (size_t i = 1; i < KAD_TYPES_MAX; i++) {
    (void)snprintf(names[i], sizeof names[i], "t%zu", i);
    given[i].name = names[i];
  }

  assert_int_equal(kad_types_build(given, 64, types, &count), KAD_EFULL);
  assert_ok(kad_types_build(given, 63, types, &count));
  assert_int_equal(count, KAD_TYPES_MAX);
  assert_non_null(find(types, count, "t62"));
}

static void finds_whole_names_only(void **state) {
  (void)state;
  struct kad_rules types[KAD_TYPES_MAX];
  size_t count = 0;
  assert_ok(kad_types_build(NULL, 0, types, &count));

  assert_null(find(types, count, "valu"));
  assert_null(find(types, count, "values"));
  assert_null(find(types, count, ""));
  assert_null(kad_types_find(types, count, (struct kad_slice){0}));
}

static int check_peer(const char *bytes, size_t len) {
  const struct kad_record record = {.value = {(const uint8_t *)bytes, len}};
  return kad_type_check_peer(&record);
}

static void accepts_compact_addresses_as_peers(void **state) {
  (void)state;

  assert_ok(check_peer("\x7f\x00\x00\x01\x1a\xe1", 6));
  assert_ok(
      check_peer("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1", 18));
}

static void rejects_peers_of_other_forms(void **state) {
  (void)state;

  assert_int_equal(check_peer("", 0), KAD_EINVAL);
  assert_int_equal(check_peer("\x7f\x00\x00\x01\x1a", 5), KAD_EINVAL);
  assert_int_equal(check_peer("\x7f\x00\x00\x01\x1a\xe1\x00", 7), KAD_EINVAL);
  assert_int_equal(check_peer("\x7f\x00\x00\x01\x00\x00", 6), KAD_EINVAL);
}

static void rejects_peers_with_publisher_salt_or_seq(void **state) {
  (void)state;
  static const uint8_t bytes[KAD_SIGNATURE_SIZE] = {1};
  const struct kad_record plain = {
      .value = kad_slice_of("\x7f\x01\x01\x01\x1a\xe1")};

  assert_ok(kad_type_check_peer(&plain));
  struct kad_record record = plain;
  record.publisher = bytes;
  record.signature = bytes;
  assert_int_equal(kad_type_check_peer(&record), KAD_EINVAL);
  record = plain;
  record.salt = kad_slice_of("s");
  assert_int_equal(kad_type_check_peer(&record), KAD_EINVAL);
  record = plain;
  record.has_seq = true;
  assert_int_equal(kad_type_check_peer(&record), KAD_EINVAL);
}

static bool replaces(const char *type, const char *a, const char *b) {
  uint8_t bytes[2][KAD_COMPACT_IP6];
  struct kad_record records[2];
  const char *texts[] = {a, b};
  for (size_t i = 0; i < 2; i++) {
    struct kad_address address;
    assert_ok(kad_address_parse(kad_slice_of(texts[i]), &address));
    records[i] = (struct kad_record){
        .type = kad_slice_of(type),
        .value = {bytes[i], kad_address_pack(&address, bytes[i])},
    };
  }
  return kad_type_replaces_peer(&records[0], &records[1]);
}

/* BEP 33 "Changed announce accounting". */
static void a_public_address_is_one_peer(void **state) {
  (void)state;
  assert_true(replaces("peers", "8.8.8.8:1", "8.8.8.8:2"));
  assert_true(replaces("peers", "[2001:4860::1]:1", "[2001:4860::1]:2"));
  assert_false(replaces("peers", "8.8.8.8:1", "8.8.8.9:1"));
  assert_false(replaces("peers", "[2001:4860::1]:1", "[2001:4860::2]:1"));
  assert_false(replaces("value", "8.8.8.8:1", "8.8.8.8:2"));
}

static void a_local_address_may_have_several_peers(void **state) {
  (void)state;
  assert_false(replaces("peers", "127.0.0.1:1", "127.0.0.1:2"));
  assert_false(replaces("peers", "192.168.1.1:1", "192.168.1.1:2"));
  assert_false(replaces("peers", "[::1]:1", "[::1]:2"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepts_names_of_lower_case_digits_and_marks),
      cmocka_unit_test(rejects_other_names),
      cmocka_unit_test(rejects_a_max_size_above_the_limit),
      cmocka_unit_test(rejects_a_max_values_above_the_limit),
      cmocka_unit_test(rejects_signed_only_peers),
      cmocka_unit_test(has_four_types_built_in),
      cmocka_unit_test(bep44_items_live_two_hours_and_are_republished_hourly),
      cmocka_unit_test(an_item_has_one_value_and_its_own_signature),
      cmocka_unit_test(new_type_has_the_defaults),
      cmocka_unit_test(refines_a_built_in_type),
      cmocka_unit_test(rejects_a_duplicate_name),
      cmocka_unit_test(rejects_an_invalid_type),
      cmocka_unit_test(accepts_up_to_62_new_types),
      cmocka_unit_test(finds_whole_names_only),
      cmocka_unit_test(accepts_compact_addresses_as_peers),
      cmocka_unit_test(rejects_peers_of_other_forms),
      cmocka_unit_test(rejects_peers_with_publisher_salt_or_seq),
      cmocka_unit_test(a_public_address_is_one_peer),
      cmocka_unit_test(a_local_address_may_have_several_peers),
  };
  return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}

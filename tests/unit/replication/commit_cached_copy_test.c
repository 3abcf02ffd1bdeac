/* How cached copies are committed. */
#include "stores.h"
#include "unit.h"

static struct kad_lone lone;

static int open_node(void **state) {
  const struct kad_config config = kad_lone_unlimited();
  (void)state;
  kad_lone_open(&lone, &config);
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

/* Stores the text `value` from contact `number` for `ttl` seconds. Returns the
 * code of the error, 0 for none. */
static int store(unsigned number, const char *value, uint32_t ttl,
                 const char *why) {
  const struct kad_contact from = kad_lone_contact(number);
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_STORE);
  message.has_target = true;
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  message.token.len = kad_lone_token(&lone, &from, token);
  message.token.data = token;
  message.why = kad_slice_of(why);
  message.records[0] = (struct kad_record){
      .key = kad_lone_target,
      .type = message.type,
      .value = kad_slice_of(value),
      .ttl = ttl,
  };
  message.record_count = 1;
  kad_lone_send(&lone, &from, &message);
  return kad_lone_error(&lone);
}

static size_t held(struct kad_record *records) {
  return kad_node_held(lone.node, &kad_lone_target, kad_slice_of("value"),
                       records, 4);
}

static void cached_copy_is_held_for_its_ttl(void **state) {
  struct kad_record records[4];
  (void)state;

  assert_int_equal(store(1, "v", 600, "cache"), 0);

  assert_int_equal(held(records), 1);
  assert_int_equal(records[0].ttl, 600);
  kad_lone_run(&lone, 601000);
  assert_int_equal(held(records), 0);
}

static void cached_copy_does_not_change_a_record(void **state) {
  struct kad_record records[4];
  (void)state;
  assert_int_equal(store(1, "v", 5000, ""), 0);
  kad_lone_run(&lone, 1000000);

  assert_int_equal(store(1, "v", 100, "cache"), KAD_CODE_REFUSED);
  assert_int_equal(store(2, "v", 6000, "cache"), KAD_CODE_REFUSED);
  assert_int_equal(store(2, "w", 6000, "cache"), KAD_CODE_REFUSED);

  assert_int_equal(held(records), 1);
  assert_int_equal(records[0].ttl, 4000);
  assert_int_equal(records[0].age, 1000);
}

static void record_replaces_its_cached_copy(void **state) {
  struct kad_record records[4];
  (void)state;
  assert_int_equal(store(1, "v", 600, "cache"), 0);

  assert_int_equal(store(2, "v", 5000, ""), 0);

  assert_int_equal(held(records), 1);
  assert_int_equal(records[0].ttl, 5000);
  assert_int_equal(store(1, "v", 100, "cache"), KAD_CODE_REFUSED);
  assert_int_equal(held(records), 1);
  assert_int_equal(records[0].ttl, 5000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(cached_copy_is_held_for_its_ttl,
                                      open_node, close_node),
      cmocka_unit_test_setup_teardown(cached_copy_does_not_change_a_record,
                                      open_node, close_node),
      cmocka_unit_test_setup_teardown(record_replaces_its_cached_copy,
                                      open_node, close_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

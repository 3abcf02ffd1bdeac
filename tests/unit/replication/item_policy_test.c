/* Policies refine `immutable` and `mutable`: the core's checks come first, then
 * the hooks. Tests core/replication/admission.c, core/replication/commit.c. */
#include "lone_node.h"
#include "unit.h"

#include <string.h>

static struct kad_lone lone;
static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t secret[KAD_SECRET_SIZE];
static uint8_t signature[KAD_SIGNATURE_SIZE];
static const uint8_t seed[32] = {4, 4};

/* How often each hook was called. */
static struct {
  unsigned validate;
  unsigned merge;
  unsigned expire;
  unsigned stored;
} calls;

static int begin(void **state) {
  struct kad_config config = kad_lone_unlimited();
  (void)state;
  memset(&calls, 0, sizeof calls);
  kad_keypair(seed, publisher, secret);
  kad_lone_open(&lone, &config);
  const struct kad_contact contact = kad_lone_contact(1);
  kad_lone_add_contact(&lone, &contact);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

static void set_type(const struct kad_type *type) {
  const struct kad_policy policy = {.types = type, .type_count = 1};
  assert_ok(kad_node_set_policy(lone.node, &policy));
}

/* Puts a mutable item. Returns the code of the error. */
static int put(const char *value, int64_t seq) {
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message query;
  struct kad_message reply;
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_record item = {.value = kad_slice_of(value),
                            .publisher = publisher,
                            .signature = signature,
                            .has_seq = true,
                            .seq = seq};
  assert_ok(kad_item_target_mutable(publisher, item.salt, &item.key));
  assert_ok(kad_item_sign(item.value, item.salt, seq, secret, signature));
  kad_lone_begin(&query, KAD_METHOD_GET);
  query.has_target = true;
  query.target = item.key;
  kad_lone_send(&lone, &from, &query);
  (void)kad_lone_reply(&lone, &reply);
  memcpy(token, reply.token.data, reply.token.len);
  kad_lone_begin(&query, KAD_METHOD_PUT);
  query.token = (struct kad_slice){token, reply.token.len};
  query.records[0] = item;
  query.record_count = 1;
  query.transaction = kad_slice_of("pp");
  kad_lone_send(&lone, &from, &query);
  return kad_lone_error(&lone);
}

/* Fails unless the item that is held has `value`. */
static void assert_held(const char *value) {
  const struct kad_slice none = {NULL, 0};
  struct kad_id key;
  struct kad_record held;
  assert_ok(kad_item_target_mutable(publisher, none, &key));
  assert_int_equal(
      kad_node_held(lone.node, &key, kad_slice_of("mutable"), &held, 1), 1);
  assert_true(kad_slice_equal(held.value, kad_slice_of(value)));
}

/* Rejects values that begin with `!`. */
static void validate(void *state, const struct kad_hook_call *call,
                     struct kad_hook_result *result) {
  (void)state;
  calls.validate++;
  if (call->record->value.data[2] == '!') {
    result->verdict = KAD_VERDICT_REJECT;
    result->code = KAD_CODE_REFUSED;
    result->reason = kad_slice_of("not that");
  }
}

/* Keeps what is held if the new value begins with `-`, forges one if it begins
 * with `?`. */
static void merge(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *result) {
  static struct kad_record merged;
  (void)state;
  calls.merge++;
  merged = *call->record;
  if (merged.value.data[2] == '-' && call->held_count > 0) {
    merged = call->held[0];
  } else if (merged.value.data[2] == '?') {
    merged.value = kad_slice_of("6:forged");
  }
  result->records = &merged;
  result->record_count = 1;
}

static void expire(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *result) {
  (void)state;
  (void)call;
  calls.expire++;
  result->seconds = 60;
}

static void stored(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *result) {
  (void)state;
  (void)result;
  calls.stored += call->record->has_seq;
}

static void hooks_decide_about_items(void **state) {
  const struct kad_type type = {.name = "mutable",
                                .validate = validate,
                                .expire = expire,
                                .stored = stored};
  (void)state;
  set_type(&type);
  assert_int_equal(put("3:yes", 1), 0);
  assert_int_equal(put("3:!no", 2), KAD_CODE_REFUSED);
  assert_held("3:yes");
  assert_int_equal(calls.validate, 2);
  assert_int_equal(calls.stored, 1);
  kad_lone_run(&lone, 61 * 1000);
  assert_int_equal(kad_lone_records(&lone), 0);
}

/* BEP 44: no hook is asked about a version that may not be held. */
static void bep44_seq_is_checked_before_merge(void **state) {
  const struct kad_type type = {.name = "mutable", .merge = merge};
  (void)state;
  set_type(&type);
  assert_int_equal(put("3:new", 5), 0);
  assert_int_equal(calls.merge, 1);
  assert_int_equal(put("3:old", 4), KAD_CODE_SEQ);
  assert_int_equal(put("3:two", 5), KAD_CODE_SEQ);
  assert_int_equal(calls.merge, 1);
  assert_held("3:new");
}

static void merge_may_keep_the_held_item(void **state) {
  const struct kad_type type = {.name = "mutable", .merge = merge};
  (void)state;
  set_type(&type);
  assert_int_equal(put("3:new", 5), 0);
  assert_int_equal(put("3:-no", 6), 0);
  assert_held("3:new");
}

/* What no publisher has signed is held nowhere. */
static void merge_cannot_make_an_item(void **state) {
  const struct kad_type type = {.name = "mutable", .merge = merge};
  (void)state;
  set_type(&type);
  assert_int_equal(put("3:new", 5), 0);
  assert_int_equal(put("3:?no", 6), KAD_CODE_FAILED);
  assert_held("3:new");
  assert_int_equal(kad_lone_stats(&lone).hook_failures, 1);
}

static void a_type_may_have_a_smaller_limit(void **state) {
  const struct kad_type type = {.name = "mutable", .max_size = 6};
  (void)state;
  set_type(&type);
  assert_int_equal(put("4:four", 1), 0);
  assert_int_equal(put("5:fives", 2), KAD_CODE_TOO_BIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(hooks_decide_about_items),
      TEST(bep44_seq_is_checked_before_merge),
      TEST(merge_may_keep_the_held_item),
      TEST(merge_cannot_make_an_item),
      TEST(a_type_may_have_a_smaller_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

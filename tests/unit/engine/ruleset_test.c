#include "engine/ruleset.h"

#include "counting_allocator.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct kad_counting_allocator counting;
static unsigned released;

static int begin(void **state) {
  (void)state;
  released = 0;
  kad_counting_init(&counting);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_counting_deinit(&counting);
  return 0;
}

static void answer(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *out) {
  (void)state;
  (void)call;
  (void)out;
}

static void release(void *state) {
  (void)state;
  released++;
}

static int make(const struct kad_policy *policy, struct kad_ruleset **ruleset) {
  return kad_ruleset_new(&counting.allocator, policy, ruleset);
}

static void drop(struct kad_ruleset *ruleset) {
  kad_ruleset_drop(ruleset, &counting.allocator);
}

/* Makes a ruleset with methods of these names; one may be NULL. Returns the
 * result. */
static int make_methods(const char *first, const char *second) {
  const struct kad_method methods[] = {{first, NULL, answer},
                                       {second, NULL, answer}};
  const struct kad_policy policy = {.methods = methods,
                                    .method_count = second != NULL ? 2 : 1,
                                    .release = release};
  struct kad_ruleset *ruleset;
  int error = make(&policy, &ruleset);
  if (error == 0) {
    drop(ruleset);
  }
  return error;
}

static int make_types(const struct kad_type *types, size_t count) {
  const struct kad_policy policy = {
      .types = types, .type_count = count, .release = release};
  struct kad_ruleset *ruleset;
  int error = make(&policy, &ruleset);
  if (error == 0) {
    drop(ruleset);
  }
  return error;
}

/* ------------------------------------------------------------- methods -- */

static void a_method_named_twice_is_a_conflict(void **state) {
  (void)state;
  assert_int_equal(make_methods("hello", "hello"), KAD_ECONFLICT);
  assert_ok(make_methods("hello", "hell"));
}

static void a_method_of_the_core_is_a_conflict(void **state) {
  static const char *const names[] = {
      "ping",  "find_node",     "get_peers",
      "store", "announce_peer", "find_value",
      "get",   "put",           "sample_infohashes",
      "vote"};
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    assert_int_equal(make_methods(names[i], NULL), KAD_ECONFLICT);
  }
  assert_ok(make_methods("pin", "pings"));
}

static void a_method_has_a_name_of_1_to_32_bytes(void **state) {
  (void)state;
  assert_int_equal(make_methods("", NULL), KAD_EINVAL);
  assert_int_equal(make_methods(NULL, NULL), KAD_EINVAL);
  assert_ok(make_methods("abcdefghijklmnopqrstuvwxyz012345", NULL));
  assert_int_equal(make_methods("abcdefghijklmnopqrstuvwxyz0123456", NULL),
                   KAD_EINVAL);
}

static void a_method_without_a_function_is_rejected(void **state) {
  const struct kad_method method = {.name = "hello"};
  const struct kad_policy policy = {.methods = &method, .method_count = 1};
  struct kad_ruleset *ruleset;
  (void)state;
  assert_int_equal(make(&policy, &ruleset), KAD_EINVAL);
}

static void methods_are_found_by_their_whole_name(void **state) {
  char name[] = "hello";
  const struct kad_method methods[] = {{name, &counting, answer},
                                       {"other", name, answer}};
  const struct kad_policy policy = {.methods = methods, .method_count = 2};
  struct kad_ruleset *ruleset;
  (void)state;
  assert_ok(make(&policy, &ruleset));
  memset(name, 'x', sizeof name - 1); /* it was copied */
  const struct kad_method *found =
      kad_ruleset_method(ruleset, kad_slice_of("hello"));
  assert_non_null(found);
  assert_string_equal(found->name, "hello");
  assert_ptr_equal(found->state, &counting);
  found = kad_ruleset_method(ruleset, kad_slice_of("other"));
  assert_non_null(found);
  assert_ptr_equal(found->state, name);
  assert_null(kad_ruleset_method(ruleset, kad_slice_of("hell")));
  assert_null(kad_ruleset_method(ruleset, kad_slice_of("hello!")));
  assert_null(kad_ruleset_method(ruleset, kad_slice_of("")));
  drop(ruleset);
}

/* --------------------------------------------------------------- types -- */

static void a_type_named_twice_is_a_conflict(void **state) {
  const struct kad_type types[] = {{.name = "counter"}, {.name = "counter"}};
  (void)state;
  assert_int_equal(make_types(types, 2), KAD_ECONFLICT);
  assert_ok(make_types(types, 1));
}

static void a_type_out_of_range_is_rejected(void **state) {
  const struct kad_type bad[] = {
      {.name = ""},
      {.name = NULL},
      {.name = "Counter"},
      {.name = "abcdefghijklmnopqrstuvwxyz0123456"},
      {.name = "counter", .max_size = KAD_VALUE_MAX + 1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(make_types(&bad[i], 1), KAD_EINVAL);
  }
}

static void the_numbers_of_types_and_methods_are_limited(void **state) {
  static struct kad_type types[KAD_TYPES_MAX];
  static char names[KAD_TYPES_MAX][8];
  const struct kad_policy policy = {.method_count = 100000};
  struct kad_ruleset *ruleset;
  (void)state;
  for (unsigned i = 0; i < KAD_TYPES_MAX; i++) {
    (void)snprintf(names[i], sizeof names[i], "type%u", i);
    types[i].name = names[i];
  }
  assert_ok(make_types(types, KAD_TYPES_MAX - 4));
  assert_int_equal(make_types(types, KAD_TYPES_MAX - 3), KAD_EFULL);
  types[KAD_TYPES_MAX - 4].name = "value";
  types[KAD_TYPES_MAX - 3].name = "peers";
  types[KAD_TYPES_MAX - 2].name = "mutable";
  types[KAD_TYPES_MAX - 1].name = "immutable";
  assert_ok(make_types(types, KAD_TYPES_MAX));
  assert_int_equal(make(&policy, &ruleset), KAD_EINVAL);
}

static void arrays_that_are_missing_are_rejected(void **state) {
  struct kad_ruleset *ruleset;
  const struct kad_policy types = {.type_count = 1};
  const struct kad_policy methods = {.method_count = 1};
  (void)state;
  assert_int_equal(make(&types, &ruleset), KAD_EINVAL);
  assert_int_equal(make(&methods, &ruleset), KAD_EINVAL);
}

static void built_in_types_exist_without_a_policy(void **state) {
  struct kad_ruleset *ruleset;
  (void)state;
  assert_ok(make(NULL, &ruleset));
  const struct kad_type *value =
      kad_ruleset_type(ruleset, kad_slice_of("value"));
  assert_non_null(value);
  assert_int_equal(value->max_size, KAD_ITEM_VALUE_MAX);
  assert_non_null(kad_ruleset_type(ruleset, kad_slice_of("peers")));
  assert_null(kad_ruleset_type(ruleset, kad_slice_of("counter")));
  drop(ruleset);
}

static void a_built_in_type_can_be_refined(void **state) {
  const struct kad_type type = {
      .name = "value", .max_size = 10, .validate = answer};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  struct kad_ruleset *ruleset;
  (void)state;
  assert_ok(make(&policy, &ruleset));
  const struct kad_type *value =
      kad_ruleset_type(ruleset, kad_slice_of("value"));
  assert_int_equal(value->max_size, 10);
  assert_int_equal(value->ttl, 86400);
  assert_true(value->validate == answer);
  drop(ruleset);
}

/* --------------------------------------------------------------- users -- */

static void the_policy_is_released_once_by_its_last_user(void **state) {
  const struct kad_policy policy = {.release = release};
  struct kad_ruleset *ruleset;
  (void)state;
  assert_ok(make(&policy, &ruleset));
  kad_ruleset_retain(ruleset);
  drop(ruleset);
  assert_int_equal(released, 0);
  drop(ruleset);
  assert_int_equal(released, 1);
}

static void a_rejected_policy_is_not_released(void **state) {
  (void)state;
  assert_int_equal(make_methods("ping", NULL), KAD_ECONFLICT);
  assert_int_equal(released, 0);
}

static void deadlines_have_a_default(void **state) {
  const struct kad_policy quick = {.deadline_ms = 50};
  struct kad_ruleset *ruleset;
  (void)state;
  assert_ok(make(NULL, &ruleset));
  assert_int_equal(ruleset->deadline_ms, 2000);
  drop(ruleset);
  assert_ok(make(&quick, &ruleset));
  assert_int_equal(ruleset->deadline_ms, 50);
  drop(ruleset);
}

static void without_memory_there_is_no_ruleset(void **state) {
  struct kad_ruleset *ruleset = NULL;
  (void)state;
  kad_counting_fail_at(&counting, 0);
  assert_int_equal(make(NULL, &ruleset), KAD_ENOMEM);
  assert_null(ruleset);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_method_named_twice_is_a_conflict),
      TEST(a_method_of_the_core_is_a_conflict),
      TEST(a_method_has_a_name_of_1_to_32_bytes),
      TEST(a_method_without_a_function_is_rejected),
      TEST(methods_are_found_by_their_whole_name),
      TEST(a_type_named_twice_is_a_conflict),
      TEST(a_type_out_of_range_is_rejected),
      TEST(the_numbers_of_types_and_methods_are_limited),
      TEST(arrays_that_are_missing_are_rejected),
      TEST(built_in_types_exist_without_a_policy),
      TEST(a_built_in_type_can_be_refined),
      TEST(the_policy_is_released_once_by_its_last_user),
      TEST(a_rejected_policy_is_not_released),
      TEST(deadlines_have_a_default),
      TEST(without_memory_there_is_no_ruleset),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

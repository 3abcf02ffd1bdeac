/* Which tally counts an error, and the list of all tallies. */
#include "engine/tally.h"

#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  ROOM = 64
};

static struct kad_lone lone_node;

static int begin(void **state) {
  kad_lone_open(&lone_node, NULL);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

static uint64_t count_of(const struct kad_lone *lone, const char *subject,
                         const char *kind) {
  struct kad_tally all[ROOM];
  const size_t count = kad_node_tallies(lone->node, all, ROOM);
  assert_true(count <= ROOM);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(all[i].subject, subject) == 0 &&
        strcmp(all[i].kind, kind) == 0) {
      return all[i].count;
    }
  }
  fail_msg("no tally %s %s", subject, kind);
  return 0;
}

static void error_is_counted_by_its_code(void **state) {
  uint64_t errors[KAD_TALLY_CODES] = {0};
  (void)state;
  kad_tally_error(errors, 201);
  kad_tally_error(errors, 204);
  kad_tally_error(errors, 204);
  kad_tally_error(errors, 302);
  assert_int_equal(errors[KAD_TALLY_201], 1);
  assert_int_equal(errors[KAD_TALLY_204], 2);
  assert_int_equal(errors[KAD_TALLY_302], 1);
  static const int others[] = {0, -1, 200, 208, 303, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    kad_tally_error(errors, others[i]);
    assert_int_equal(errors[KAD_TALLY_OTHER], i + 1);
  }
}

static void all_tallies_are_listed_in_one_order(void **state) {
  struct kad_lone *lone = *state;
  struct kad_tally all[ROOM];
  memset(all, 0, sizeof all);
  assert_int_equal(kad_node_tallies(lone->node, NULL, 0),
                   KAD_TALLY_METHODS + 2 * KAD_TALLY_CODES);
  assert_int_equal(kad_node_tallies(lone->node, all, 2),
                   KAD_TALLY_METHODS + 2 * KAD_TALLY_CODES);
  assert_string_equal(all[0].kind, "custom");
  assert_string_equal(all[1].kind, "ping");
  assert_null(all[2].kind);
}

static void errors_of_a_node_are_counted(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  kad_lone_query_custom(lone, &from, "nothing", "");
  assert_int_equal(kad_lone_error(lone), KAD_CODE_METHOD);
  assert_int_equal(count_of(lone, "error_sent", "204"), 1);
  assert_int_equal(count_of(lone, "error_received", "204"), 0);
}

static void queries_of_a_node_are_counted(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  assert_ok(kad_node_ping(lone->node, &to.address, NULL, NULL, NULL));
  kad_lone_run(lone, 1);
  assert_int_equal(count_of(lone, "query_sent", "ping"), 1);
  assert_int_equal(count_of(lone, "query_sent", "find_node"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(error_is_counted_by_its_code),
      TEST(all_tallies_are_listed_in_one_order),
      TEST(errors_of_a_node_are_counted),
      TEST(queries_of_a_node_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

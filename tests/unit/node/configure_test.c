#include "node/configure.h"

#include "lone_node.h"
#include "unit.h"

#include <string.h>

static struct kad_lone lone_node;

/* Fills `config` with the defaults, but for a limit that tests can reach. */
static void begin_config(struct kad_config *config) {
  kad_config_default(config);
  config->queries_per_s_address = 100;
}

static int begin(void **state) {
  struct kad_config config;
  begin_config(&config);
  kad_lone_open(&lone_node, &config);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Sends `count` pings at once. Returns how many were served. */
static uint64_t served_of(struct kad_lone *lone, unsigned count) {
  const struct kad_contact from = kad_lone_contact(1);
  const uint64_t before = kad_lone_stats(lone).served_ping;
  for (unsigned i = 0; i < count; i++) {
    kad_lone_query(lone, &from, KAD_METHOD_PING);
  }
  return kad_lone_stats(lone).served_ping - before;
}

static void limits_change_at_once(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  begin_config(&config);
  assert_int_equal(served_of(lone, 500), 400);

  config.queries_per_s_address = 10;
  assert_int_equal(kad_node_configure(lone->node, &config), 0);
  assert_int_equal(served_of(lone, 500), 40);

  config.limits = false;
  assert_int_equal(kad_node_configure(lone->node, &config), 0);
  assert_int_equal(served_of(lone, 500), 500);
}

static void same_limits_keep_what_was_used(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  begin_config(&config);
  assert_int_equal(served_of(lone, 500), 400);
  config.lookup_ms = 5000;
  assert_int_equal(kad_node_configure(lone->node, &config), 0);
  assert_int_equal(served_of(lone, 500), 0);
}

static void fixed_options_and_the_id_stay(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  const struct kad_id id = *kad_node_id(lone->node);
  begin_config(&config);
  config.read_only = true;
  config.has_id = true;
  config.id_bits = 256;
  assert_int_equal(kad_node_configure(lone->node, &config), 0);
  assert_true(kad_id_equal(kad_node_id(lone->node), &id));
  assert_int_equal(served_of(lone, 1), 1);
}

static void wrong_options_change_nothing(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  begin_config(&config);
  config.queries_per_s_address = 1;
  config.alpha = 0;
  assert_int_equal(kad_node_configure(lone->node, &config), KAD_EINVAL);
  assert_int_equal(served_of(lone, 500), 400);
}

static void without_memory_nothing_changes(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  begin_config(&config);
  config.queries_per_s_address = 1;
  int error = KAD_ENOMEM;
  for (size_t n = 0; error != 0; n++) {
    kad_counting_fail_at(&lone->counting, n);
    error = kad_node_configure(lone->node, &config);
    kad_counting_never_fail(&lone->counting);
    assert_true(error == 0 || error == KAD_ENOMEM);
    assert_true(n < 100);
  }
  assert_int_equal(served_of(lone, 500), 4);
}

static void live_options_are_those_that_configure_changes(void **state) {
  size_t count;
  size_t live = 0;
  const struct kad_option *options = kad_config_options(&count);
  (void)state;
  for (size_t i = 0; i < count; i++) {
    live += kad_config_is_live(&options[i]) ? 1 : 0;
    if (strcmp(options[i].name, "k") == 0) {
      assert_false(kad_config_is_live(&options[i]));
    }
    if (strcmp(options[i].name, "limits") == 0) {
      assert_true(kad_config_is_live(&options[i]));
    }
  }
  assert_true(live >= 19 && live < count);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(limits_change_at_once, begin, end),
      cmocka_unit_test_setup_teardown(same_limits_keep_what_was_used, begin,
                                      end),
      cmocka_unit_test_setup_teardown(fixed_options_and_the_id_stay, begin,
                                      end),
      cmocka_unit_test_setup_teardown(wrong_options_change_nothing, begin, end),
      cmocka_unit_test_setup_teardown(without_memory_nothing_changes, begin,
                                      end),
      cmocka_unit_test(live_options_are_those_that_configure_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

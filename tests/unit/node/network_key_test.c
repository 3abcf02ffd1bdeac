/* A node with network keys, from its configuration to its end. */
#include "engine/node.h"
#include "kadenza_network_key.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

static struct kad_lone lone_node;

static void no_and_too_many_keys_are_refused(void **state) {
  struct kad_network_keys keys = {.keys = {{1}}, .count = 0};
  struct kad_config config;
  struct kad_node *node = NULL;
  (void)state;
  const struct kad_env env = kad_lone_env(&lone_node, 1);
  kad_config_default(&config);
  config.network_keys = &keys;
  assert_int_equal(kad_node_new(&config, &env, &node), KAD_EINVAL);
  keys.count = 3;
  assert_int_equal(kad_node_new(&config, &env, &node), KAD_EINVAL);
  keys.count = 1;
  assert_ok(kad_node_new(&config, &env, &node));
  keys.count = 3;
  assert_int_equal(kad_node_set_network_keys(node, &keys), KAD_EINVAL);
  kad_node_free(node);
  kad_counting_deinit(&lone_node.counting);
}

static void keys_are_copied_and_not_shown(void **state) {
  struct kad_network_keys keys = {.keys = {{1}}, .count = 1};
  struct kad_config config;
  const struct kad_contact from = kad_lone_contact(1);
  (void)state;
  kad_config_default(&config);
  config.network_keys = &keys;
  kad_lone_open(&lone_node, &config);
  memset(&keys, 0, sizeof keys);
  kad_lone_query(&lone_node, &from, KAD_METHOD_PING);
  assert_int_equal(kad_lone_stats(&lone_node).served_ping, 1);
  assert_true(kad_node_is_sealed(lone_node.node));
  assert_null(kad_node_config(lone_node.node)->network_keys);
  kad_lone_close(&lone_node);
}

static void a_node_does_not_become_sealed_later(void **state) {
  const struct kad_network_keys keys = {.keys = {{1}}, .count = 1};
  struct kad_seal_notice notice;
  uint64_t cursor = 0;
  (void)state;
  kad_lone_open(&lone_node, NULL);
  assert_false(kad_node_is_sealed(lone_node.node));
  assert_int_equal(kad_node_set_network_keys(lone_node.node, &keys),
                   KAD_EINVAL);
  assert_false(kad_node_next_seal_notice(lone_node.node, &cursor, &notice));
  assert_int_equal(kad_node_message_room(lone_node.node),
                   kad_node_config(lone_node.node)->max_reply);
  kad_lone_close(&lone_node);
}

/* Looks at the block of the sealing as it is freed. */
static void *watch_free(void *state, void *old, size_t old_size,
                        size_t new_size) {
  static const uint8_t zeros[sizeof(struct kad_seal)];
  const struct kad_allocator *inner = state;
  if (new_size == 0 && old_size == sizeof(struct kad_sealing)) {
    const struct kad_sealing *sealing = old;
    assert_memory_equal(&sealing->seal, zeros, sizeof zeros);
    function_called();
  }
  return inner->resize(inner->state, old, old_size, new_size);
}

static void keys_are_wiped_with_the_node(void **state) {
  const struct kad_network_keys keys = {.keys = {{1}, {2}}, .count = 2};
  struct kad_config config;
  struct kad_node *node = NULL;
  struct kad_env env = kad_lone_env(&lone_node, 1);
  struct kad_allocator inner = env.allocator;
  (void)state;
  kad_config_default(&config);
  config.network_keys = &keys;
  env.allocator = (struct kad_allocator){.resize = watch_free, .state = &inner};
  assert_ok(kad_node_new(&config, &env, &node));
  expect_function_call(watch_free);
  kad_node_free(node);
  kad_counting_deinit(&lone_node.counting);
}

static void out_of_memory_opens_no_node(void **state) {
  const struct kad_network_keys keys = {.keys = {{1}}, .count = 1};
  struct kad_config config;
  struct kad_node *node = NULL;
  int error = KAD_ENOMEM;
  (void)state;
  const struct kad_env env = kad_lone_env(&lone_node, 1);
  kad_config_default(&config);
  config.network_keys = &keys;
  for (size_t n = 0; error == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&lone_node.counting, n);
    error = kad_node_new(&config, &env, &node);
  }
  assert_ok(error);
  kad_node_free(node);
  kad_counting_deinit(&lone_node.counting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_and_too_many_keys_are_refused),
      cmocka_unit_test(keys_are_copied_and_not_shown),
      cmocka_unit_test(a_node_does_not_become_sealed_later),
      cmocka_unit_test(keys_are_wiped_with_the_node),
      cmocka_unit_test(out_of_memory_opens_no_node),
  };
  return cmocka_run_group_tests_name("network_key", tests, NULL, NULL);
}

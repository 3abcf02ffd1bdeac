/* Bootstrap names of nodes with real sockets. */
#include "kadenza_names.h"
#include "network_fixture.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct kad_fixture fixture;

static int open_network(void **state) {
  (void)state;
  kad_fixture_open(&fixture);
  fixture.expected = 1;
  return 0;
}

static int close_network(void **state) {
  (void)state;
  kad_fixture_close(&fixture);
  return 0;
}

/* Joins `node` through `text`, and returns the status. */
static int join(struct kad_node *node, const char *text) {
  const struct kad_slice texts[] = {kad_slice_of(text)};
  assert_ok(kad_network_bootstrap(fixture.network, node, texts, 1,
                                  kad_fixture_count_result, &fixture, NULL));
  kad_fixture_run(&fixture);
  return fixture.status;
}

static unsigned port_of(const struct kad_node *node) {
  return kad_fixture_bound(fixture.network, node, 0).port;
}

static void a_node_joins_through_a_name(void **state) {
  (void)state;
  char text[32];
  const struct kad_node *first =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *second =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  (void)snprintf(text, sizeof text, "localhost:%u", port_of(first));

  assert_int_equal(join(second, text), 0);

  struct kad_name_info info;
  assert_true(kad_node_name(second, 0, &info));
  assert_int_equal(info.status, 0);
  assert_true(info.count >= 1);
  assert_false(kad_node_name(second, 1, &info));
  assert_false(kad_node_name(first, 0, &info));
}

static void malformed_texts_are_refused(void **state) {
  (void)state;
  struct kad_node *node = kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  char large[301];
  memset(large, 'a', sizeof large - 1);
  memcpy(large + 298, ":1", 3);
  const char *const texts[] = {"",
                               "localhost",
                               "localhost:0",
                               "local host:1",
                               "b\xc3\xbc.example:1",
                               "a\001:1",
                               "::1:1",
                               large};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const struct kad_slice text = kad_slice_of(texts[i]);
    if (kad_network_check_name(text) != KAD_EINVAL ||
        kad_network_bootstrap(fixture.network, node, &text, 1,
                              kad_fixture_count_result, &fixture,
                              NULL) != KAD_EINVAL) {
      fail_msg("'%s' was accepted", texts[i]);
    }
  }
  assert_ok(kad_network_check_name(kad_slice_of("a.example:65535")));
  assert_ok(kad_network_check_name(kad_slice_of("[::1]:1")));
}

/* Returns what the node makes of an address with the port of its socket. */
static int check(struct kad_node *node, const char *ip) {
  struct kad_address address = kad_fixture_address(ip);
  address.port = (uint16_t)port_of(node);
  return kad_node_check_address(node, &address);
}

static void a_node_knows_the_address_it_is_bound_to(void **state) {
  (void)state;
  struct kad_node *node = kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address other = kad_fixture_address("127.0.0.1:1");

  assert_int_equal(check(node, "127.0.0.1:1"), KAD_EOWNID);
  assert_int_equal(check(node, "127.0.0.2:1"), 0);
  assert_int_equal(kad_node_check_address(node, &other), 0);
  assert_int_equal(check(node, "[::1]:1"), KAD_EFAMILY);
}

static void a_wildcard_is_bound_to_every_address_of_the_machine(void **state) {
  (void)state;
  struct kad_node *node = kad_fixture_open_node(fixture.network, "0.0.0.0:0");
  const struct kad_address other = kad_fixture_address("127.0.0.1:1");

  assert_int_equal(check(node, "127.0.0.1:1"), KAD_EOWNID);
  assert_int_equal(check(node, "127.9.9.9:1"), KAD_EOWNID);
  assert_int_equal(check(node, "0.0.0.0:1"), KAD_EOWNID);
  assert_int_equal(check(node, "198.18.0.1:1"), 0);
  assert_int_equal(kad_node_check_address(node, &other), 0);
}

static void a_node_does_not_join_through_itself(void **state) {
  (void)state;
  char text[32];
  struct kad_node *node = kad_fixture_open_node(fixture.network, "0.0.0.0:0");
  (void)snprintf(text, sizeof text, "localhost:%u", port_of(node));

  assert_int_equal(join(node, text), KAD_ENOCONTACTS);

  struct kad_stats stats;
  kad_node_stats(node, &stats);
  assert_int_equal(kad_node_state(node), KAD_STATE_NEW);
  assert_int_equal(stats.names_failed, 0);
}

static void a_node_that_closes_leaves_its_names(void **state) {
  (void)state;
  const struct kad_slice text = kad_slice_of("localhost:1");
  struct kad_node *node = kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  assert_ok(kad_network_bootstrap(fixture.network, node, &text, 1,
                                  kad_fixture_count_result, &fixture, NULL));
  kad_network_run(fixture.network, 0);
  kad_network_close_node(fixture.network, node);
  node = kad_fixture_open_node(fixture.network, "127.0.0.1:0");

  kad_network_run(fixture.network, 300);

  struct kad_name_info info;
  assert_int_equal(fixture.status, KAD_ECLOSED);
  assert_false(kad_node_name(node, 0, &info));
}

#define TEST(name) \
  cmocka_unit_test_setup_teardown(name, open_network, close_network)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_node_joins_through_a_name),
      TEST(malformed_texts_are_refused),
      TEST(a_node_knows_the_address_it_is_bound_to),
      TEST(a_wildcard_is_bound_to_every_address_of_the_machine),
      TEST(a_node_does_not_join_through_itself),
      TEST(a_node_that_closes_leaves_its_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

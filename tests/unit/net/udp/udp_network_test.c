#include "network_fixture.h"
#include "unit.h"

#include <time.h>

static void nodes_ping_each_other(void **state) {
  (void)state;
  struct kad_fixture fixture;
  const struct kad_pair pair = kad_fixture_open_pair(&fixture);
  assert_int_not_equal(pair.to.port, 0);

  kad_fixture_ping(&fixture, pair.asker, &pair.to);
  kad_fixture_run(&fixture);

  assert_int_equal(fixture.results, 1);
  assert_int_equal(fixture.status, 0);
  kad_fixture_close(&fixture);
}

static void nodes_ping_each_other_over_ipv6(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const struct kad_address loopback = kad_fixture_address("[::1]:0");
  struct kad_node *asker = NULL;
  if (kad_fixture_try_open(fixture.network, &loopback, 1, &asker) != 0) {
    kad_fixture_close(&fixture);
    skip(); /* a machine without IPv6 */
  }
  struct kad_node *asked = kad_fixture_open_node(fixture.network, "[::1]:0");
  const struct kad_address to = kad_fixture_bound(fixture.network, asked, 0);

  kad_fixture_ping(&fixture, asker, &to);
  kad_fixture_run(&fixture);

  assert_int_equal(fixture.status, 0);
  kad_fixture_close(&fixture);
}

static void node_answers_from_the_socket_that_was_asked(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const struct kad_address listen[2] = {kad_fixture_address("127.0.0.1:0"),
                                        kad_fixture_address("127.0.0.1:0")};
  struct kad_node *asker =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *asked = NULL;
  assert_ok(kad_fixture_try_open(fixture.network, listen, 2, &asked));

  fixture.expected = 2;
  for (size_t i = 0; i < 2; i++) {
    const struct kad_address to = kad_fixture_bound(fixture.network, asked, i);
    kad_fixture_ping(&fixture, asker, &to);
  }
  kad_fixture_run(&fixture);

  assert_int_equal(fixture.results, 2);
  assert_int_equal(fixture.failures, 0);
  kad_fixture_close(&fixture);
}

static void burst_of_datagrams_is_sent_whole(void **state) {
  (void)state;
  struct kad_fixture fixture;
  const struct kad_pair pair = kad_fixture_open_pair(&fixture);

  kad_fixture_ping_burst(&fixture, &pair);
  kad_fixture_run(&fixture);

  struct kad_stats stats;
  kad_node_stats(pair.asked, &stats);
  assert_true(stats.served_ping >= KAD_BURST);
  assert_int_equal(fixture.failures, 0);
  kad_fixture_close(&fixture);
}

static void port_in_use_leaves_nothing_bound(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  struct kad_node *holder =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *brief =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address listen[2] = {
      kad_fixture_bound(fixture.network, brief, 0),
      kad_fixture_bound(fixture.network, holder, 0)};
  kad_network_close_node(fixture.network, brief);

  struct kad_node *node = NULL;
  assert_int_equal(kad_fixture_try_open(fixture.network, listen, 2, &node),
                   KAD_EADDRINUSE);
  assert_null(node);

  assert_ok(kad_fixture_try_open(fixture.network, listen, 1, &node));
  kad_fixture_close(&fixture);
}

/* Another process may have the port in IPv4: then tries another one. */
static void one_port_serves_both_families(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  struct kad_address listen[2] = {kad_fixture_address("[::]:0"),
                                  kad_fixture_address("0.0.0.0:0")};
  struct kad_node *node = NULL;
  if (kad_fixture_try_open(fixture.network, listen, 1, &node) != 0) {
    kad_fixture_close(&fixture);
    skip(); /* a machine without IPv6 */
  }

  int result = KAD_EADDRINUSE;
  for (int i = 0; i < 10 && result == KAD_EADDRINUSE; i++) {
    listen[1].port = kad_fixture_bound(fixture.network, node, 0).port;
    listen[0].port = listen[1].port;
    kad_network_close_node(fixture.network, node);
    result = kad_fixture_try_open(fixture.network, listen, 2, &node);
    listen[0].port = 0;
    if (result != 0) {
      assert_ok(kad_fixture_try_open(fixture.network, listen, 1, &node));
    }
  }

  assert_ok(result);
  assert_int_equal(kad_network_addresses(fixture.network, node, NULL, 0), 2);
  kad_fixture_close(&fixture);
}

static void address_of_another_machine_is_refused(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const struct kad_address elsewhere[] = {
      kad_fixture_address("192.0.2.1:0"),
      kad_fixture_address("[2001:db8::1]:0"),
      kad_fixture_address("[fe80::1:2:3:4]:0"), /* which needs an interface */
  };
  struct kad_node *node = NULL;

  for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
    assert_int_equal(
        kad_fixture_try_open(fixture.network, &elsewhere[i], 1, &node),
        KAD_EADDRNOTAVAIL);
  }

  kad_fixture_close(&fixture);
}

static void listen_addresses_out_of_range_are_refused(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  struct kad_address listen[9] = {{{0}, 0, 0, 0}};
  struct kad_node *node = NULL;

  assert_int_equal(kad_fixture_try_open(fixture.network, listen, 1, &node),
                   KAD_EINVAL);
  for (size_t i = 0; i < 9; i++) {
    listen[i] = kad_fixture_address("127.0.0.1:0");
  }
  assert_int_equal(kad_fixture_try_open(fixture.network, listen, 0, &node),
                   KAD_EINVAL);
  assert_int_equal(kad_fixture_try_open(fixture.network, listen, 9, &node),
                   KAD_EINVAL);

  kad_fixture_close(&fixture);
}

static void close_both(void *data, const struct kad_result *result) {
  struct kad_fixture *fixture = data;
  kad_network_close_node(fixture->network, fixture->node);
  kad_network_close_node(fixture->network, fixture->other);
  kad_fixture_count_result(data, result);
}

static void node_may_be_closed_by_its_callback(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  fixture.node = kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  fixture.other = kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to =
      kad_fixture_bound(fixture.network, fixture.other, 0);
  assert_ok(kad_node_ping(fixture.node, &to, close_both, &fixture, NULL));

  kad_fixture_run(&fixture);

  assert_int_equal(fixture.results, 1);
  struct kad_node *node = NULL;
  assert_ok(kad_fixture_try_open(fixture.network, &to, 1, &node));
  kad_fixture_close(&fixture);
}

static void close_both_in_hook(void *state, const struct kad_hook_call *call,
                               struct kad_hook_result *answer) {
  (void)call;
  (void)answer;
  struct kad_fixture *fixture = state;
  fixture->fired++;
  kad_network_close_node(fixture->network, fixture->node);
  kad_network_close_node(fixture->network, fixture->other);
}

/* Opens two nodes, of which `other` has that hook, and runs the network while
 * `node` sends it a burst of pings. */
static void run_burst(struct kad_fixture *fixture,
                      void (*on_request)(void *state,
                                         const struct kad_hook_call *call,
                                         struct kad_hook_result *answer)) {
  kad_fixture_open(fixture);
  fixture->node = kad_fixture_open_node(fixture->network, "127.0.0.1:0");
  fixture->other = kad_fixture_open_node(fixture->network, "127.0.0.1:0");
  const struct kad_policy policy = {
      .state = fixture,
      .on_request = on_request,
  };
  assert_ok(kad_node_set_policy(fixture->other, &policy));
  const struct kad_address to =
      kad_fixture_bound(fixture->network, fixture->other, 0);
  fixture->expected = KAD_BURST;
  for (unsigned i = 0; i < KAD_BURST; i++) {
    kad_fixture_ping(fixture, fixture->node, &to);
  }
  kad_fixture_run(fixture);
}

static void a_hook_may_close_nodes_within_a_batch(void **state) {
  (void)state;
  struct kad_fixture fixture;
  run_burst(&fixture, close_both_in_hook);

  assert_int_equal(fixture.fired, 1);
  assert_int_equal(fixture.results, KAD_BURST);
  assert_int_equal(fixture.failures, KAD_BURST);
  assert_int_equal(fixture.status, KAD_ECLOSED);
  kad_fixture_close(&fixture);
}

/* The first call takes so long that the other queries wait; the second one
 * closes the nodes. */
static void close_both_in_second_hook(void *state,
                                      const struct kad_hook_call *call,
                                      struct kad_hook_result *answer) {
  struct kad_fixture *fixture = state;
  if (fixture->fired == 0) {
    const clock_t began = clock();
    fixture->fired++;
    while (clock() - began < 5 * CLOCKS_PER_SEC / 1000) {
    }
    return;
  }
  close_both_in_hook(state, call, answer);
}

static void a_hook_may_close_nodes_while_queries_wait(void **state) {
  (void)state;
  struct kad_fixture fixture;
  run_burst(&fixture, close_both_in_second_hook);

  assert_int_equal(fixture.fired, 2);
  assert_int_equal(fixture.results, KAD_BURST);
  kad_fixture_close(&fixture);
}

static void closing_a_node_ends_its_operations(void **state) {
  (void)state;
  struct kad_fixture fixture;
  const struct kad_pair pair = kad_fixture_open_pair(&fixture);
  kad_fixture_ping(&fixture, pair.asker, &pair.to);

  kad_network_close_node(fixture.network, pair.asker);

  assert_int_equal(fixture.results, 1);
  assert_int_equal(fixture.status, KAD_ECLOSED);
  kad_fixture_close(&fixture);
}

static void close_at_the_second_request(void *state,
                                        const struct kad_hook_call *call,
                                        struct kad_hook_result *answer) {
  (void)answer;
  struct kad_fixture *fixture = state;
  if (++fixture->fired == 2) {
    kad_network_close_node(fixture->network, call->node);
  }
}

static void replies_written_before_closing_are_sent(void **state) {
  (void)state;
  struct kad_fixture fixture;
  const struct kad_pair pair = kad_fixture_open_pair(&fixture);
  const struct kad_policy policy = {
      .state = &fixture,
      .on_request = close_at_the_second_request,
  };
  assert_ok(kad_node_set_policy(pair.asked, &policy));
  kad_fixture_ping(&fixture, pair.asker, &pair.to);
  kad_fixture_ping(&fixture, pair.asker, &pair.to);

  kad_fixture_run(&fixture);

  assert_int_equal(fixture.fired, 2);
  assert_int_equal(fixture.status, 0);
  kad_fixture_close(&fixture);
}

static void freeing_the_network_ends_operations(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  struct kad_node *asker =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to = kad_fixture_bound(fixture.network, asker, 0);
  kad_fixture_ping(&fixture, asker, &to);

  kad_fixture_close(&fixture);

  assert_int_equal(fixture.status, KAD_ECLOSED);
}

/* Runs both networks by turns until `client` has its results. */
static void drive_both(struct kad_fixture *server, struct kad_fixture *client) {
  const kad_time_ms begun = kad_network_now(client->network);
  while (client->results < client->expected) {
    assert_true(kad_network_now(client->network) < begun + KAD_PATIENCE_MS);
    kad_network_step(client->network);
    kad_network_step(server->network);
  }
}

static void serving_a_ping_allocates_nothing(void **state) {
  (void)state;
  struct kad_fixture server;
  struct kad_fixture client;
  kad_fixture_open(&server);
  kad_fixture_open(&client);
  struct kad_node *asked = kad_fixture_open_node(server.network, "127.0.0.1:0");
  struct kad_node *asker = kad_fixture_open_node(client.network, "127.0.0.1:0");
  const struct kad_address to = kad_fixture_bound(server.network, asked, 0);
  client.expected = 10;
  for (unsigned i = 0; i < 10; i++) {
    kad_fixture_ping(&client, asker, &to);
  }
  drive_both(&server, &client);

  const size_t requests = server.counting.requests;
  client.expected += KAD_BURST;
  for (unsigned i = 0; i < KAD_BURST; i++) {
    kad_fixture_ping(&client, asker, &to);
  }
  drive_both(&server, &client);

  assert_int_equal(server.counting.requests, requests);
  kad_fixture_close(&client);
  kad_fixture_close(&server);
}

static void open_node_survives_out_of_memory(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const struct kad_address listen[2] = {kad_fixture_address("127.0.0.1:0"),
                                        kad_fixture_address("127.0.0.1:0")};
  struct kad_node *node = NULL;

  int result = KAD_ENOMEM;
  for (size_t n = 0; result == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&fixture.counting, n);
    result = kad_fixture_try_open(fixture.network, listen, 2, &node);
    kad_network_step(fixture.network);
  }

  assert_ok(result);
  assert_false(fixture.counting.has_failed);
  kad_counting_never_fail(&fixture.counting);
  kad_fixture_close(&fixture);
}

static void network_new_survives_out_of_memory(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  struct kad_network *network = NULL;

  int result = KAD_ENOMEM;
  for (size_t n = 0; result == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&counting, n);
    result = kad_network_udp_new(counting.allocator, &network);
  }

  assert_ok(result);
  assert_false(counting.has_failed);
  kad_network_free(network);
  kad_counting_deinit(&counting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_ping_each_other),
      cmocka_unit_test(nodes_ping_each_other_over_ipv6),
      cmocka_unit_test(node_answers_from_the_socket_that_was_asked),
      cmocka_unit_test(burst_of_datagrams_is_sent_whole),
      cmocka_unit_test(port_in_use_leaves_nothing_bound),
      cmocka_unit_test(one_port_serves_both_families),
      cmocka_unit_test(address_of_another_machine_is_refused),
      cmocka_unit_test(listen_addresses_out_of_range_are_refused),
      cmocka_unit_test(node_may_be_closed_by_its_callback),
      cmocka_unit_test(a_hook_may_close_nodes_within_a_batch),
      cmocka_unit_test(a_hook_may_close_nodes_while_queries_wait),
      cmocka_unit_test(closing_a_node_ends_its_operations),
      cmocka_unit_test(replies_written_before_closing_are_sent),
      cmocka_unit_test(freeing_the_network_ends_operations),
      cmocka_unit_test(serving_a_ping_allocates_nothing),
      cmocka_unit_test(open_node_survives_out_of_memory),
      cmocka_unit_test(network_new_survives_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A socket of the test's own and poll need more than C11 shows. */
#define _DEFAULT_SOURCE

#include "counting_allocator.h"
#include "kadenza.h"
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

enum {
  PATIENCE_MS = 10000, /* a test that waits longer fails */
  BURST = 200
};

/* What one test works with: a network, and what callbacks have seen. */
struct fixture {
  struct kad_counting_allocator counting;
  struct kad_network *network;
  struct kad_node *node;  /* for callbacks that close one */
  struct kad_node *other; /* likewise */
  kad_timer timer;        /* for callbacks that stop one */
  unsigned expected;      /* results after which the network is stopped */
  unsigned results;
  unsigned failures; /* among them */
  unsigned fired;
  int status; /* of the latest result */
  struct kad_address addresses[16];
  size_t address_count;
};

static void open_network(struct fixture *fixture) {
  *fixture = (struct fixture){.expected = 1};
  kad_counting_init(&fixture->counting);
  assert_ok(
      kad_network_udp_new(fixture->counting.allocator, &fixture->network));
}

static void close_network(struct fixture *fixture) {
  kad_network_free(fixture->network);
  kad_counting_deinit(&fixture->counting);
}

static struct kad_address address_of(const char *text) {
  struct kad_address address;
  assert_ok(kad_address_parse(kad_slice_of(text), &address));
  return address;
}

static int try_open(struct kad_network *network,
                    const struct kad_address *listen, size_t count,
                    struct kad_node **node) {
  struct kad_config config;
  kad_config_default(&config);
  config.allow_local = true;
  config.limits = false;
  return kad_network_open_node(network, &config, listen, count, node);
}

static struct kad_node *open_node(struct kad_network *network,
                                  const char *listen) {
  const struct kad_address address = address_of(listen);
  struct kad_node *node = NULL;
  assert_ok(try_open(network, &address, 1, &node));
  return node;
}

static struct kad_address bound_address(struct kad_network *network,
                                        const struct kad_node *node, size_t i) {
  struct kad_address addresses[8];
  assert_true(kad_network_addresses(network, node, addresses, 8) > i);
  return addresses[i];
}

static void count_result(void *data, const struct kad_result *result) {
  struct fixture *fixture = data;
  fixture->status = result->status;
  fixture->failures += result->status != 0;
  if (++fixture->results == fixture->expected) {
    kad_network_stop(fixture->network);
  }
}

static void ping(struct fixture *fixture, struct kad_node *from,
                 const struct kad_address *to) {
  assert_ok(kad_node_ping(from, to, count_result, fixture, NULL));
}

static void run_until_stopped(struct fixture *fixture) {
  const kad_time_ms begun = kad_network_now(fixture->network);
  kad_network_run(fixture->network, PATIENCE_MS);
  assert_true(kad_network_now(fixture->network) < begun + PATIENCE_MS);
}

static void count_fire(void *data) {
  struct fixture *fixture = data;
  fixture->fired++;
}

static void stop_network(void *data) {
  struct fixture *fixture = data;
  fixture->fired++;
  kad_network_stop(fixture->network);
}

static void nodes_ping_each_other(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_node *asker = open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *asked = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to = bound_address(fixture.network, asked, 0);
  assert_int_not_equal(to.port, 0);

  ping(&fixture, asker, &to);
  run_until_stopped(&fixture);

  assert_int_equal(fixture.results, 1);
  assert_int_equal(fixture.status, 0);
  close_network(&fixture);
}

static void nodes_ping_each_other_over_ipv6(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const struct kad_address loopback = address_of("[::1]:0");
  struct kad_node *asker = NULL;
  if (try_open(fixture.network, &loopback, 1, &asker) != 0) {
    close_network(&fixture);
    skip(); /* a machine without IPv6 */
  }
  struct kad_node *asked = open_node(fixture.network, "[::1]:0");
  const struct kad_address to = bound_address(fixture.network, asked, 0);

  ping(&fixture, asker, &to);
  run_until_stopped(&fixture);

  assert_int_equal(fixture.status, 0);
  close_network(&fixture);
}

static void node_answers_from_the_socket_that_was_asked(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const struct kad_address listen[2] = {address_of("127.0.0.1:0"),
                                        address_of("127.0.0.1:0")};
  struct kad_node *asker = open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *asked = NULL;
  assert_ok(try_open(fixture.network, listen, 2, &asked));

  fixture.expected = 2;
  for (size_t i = 0; i < 2; i++) {
    const struct kad_address to = bound_address(fixture.network, asked, i);
    ping(&fixture, asker, &to);
  }
  run_until_stopped(&fixture);

  assert_int_equal(fixture.results, 2);
  assert_int_equal(fixture.failures, 0);
  close_network(&fixture);
}

static void burst_of_datagrams_is_sent_whole(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_node *asker = open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *asked = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to = bound_address(fixture.network, asked, 0);

  fixture.expected = BURST;
  for (unsigned i = 0; i < BURST; i++) {
    ping(&fixture, asker, &to);
  }
  run_until_stopped(&fixture);

  struct kad_stats stats;
  kad_node_stats(asked, &stats);
  assert_true(stats.served_ping >= BURST);
  assert_int_equal(fixture.failures, 0);
  close_network(&fixture);
}

static void port_in_use_leaves_nothing_bound(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_node *holder = open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *brief = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address listen[2] = {
      bound_address(fixture.network, brief, 0),
      bound_address(fixture.network, holder, 0)};
  kad_network_close_node(fixture.network, brief);

  struct kad_node *node = NULL;
  assert_int_equal(try_open(fixture.network, listen, 2, &node), KAD_EADDRINUSE);
  assert_null(node);

  assert_ok(try_open(fixture.network, listen, 1, &node));
  close_network(&fixture);
}

static void address_of_another_machine_is_refused(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const struct kad_address elsewhere = address_of("192.0.2.1:0");
  struct kad_node *node = NULL;

  assert_int_equal(try_open(fixture.network, &elsewhere, 1, &node),
                   KAD_EADDRNOTAVAIL);

  close_network(&fixture);
}

static void listen_addresses_out_of_range_are_refused(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_address listen[9] = {{{0}, 0, 0, 0}};
  struct kad_node *node = NULL;

  assert_int_equal(try_open(fixture.network, listen, 1, &node), KAD_EINVAL);
  for (size_t i = 0; i < 9; i++) {
    listen[i] = address_of("127.0.0.1:0");
  }
  assert_int_equal(try_open(fixture.network, listen, 0, &node), KAD_EINVAL);
  assert_int_equal(try_open(fixture.network, listen, 9, &node), KAD_EINVAL);

  close_network(&fixture);
}

static void close_both(void *data, const struct kad_result *result) {
  struct fixture *fixture = data;
  kad_network_close_node(fixture->network, fixture->node);
  kad_network_close_node(fixture->network, fixture->other);
  count_result(data, result);
}

static void node_may_be_closed_by_its_callback(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  fixture.node = open_node(fixture.network, "127.0.0.1:0");
  fixture.other = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to =
      bound_address(fixture.network, fixture.other, 0);
  assert_ok(kad_node_ping(fixture.node, &to, close_both, &fixture, NULL));

  run_until_stopped(&fixture);

  assert_int_equal(fixture.results, 1);
  struct kad_node *node = NULL;
  assert_ok(try_open(fixture.network, &to, 1, &node));
  close_network(&fixture);
}

static void close_both_in_hook(void *state, const struct kad_question *question,
                               struct kad_answer *answer) {
  (void)question;
  (void)answer;
  struct fixture *fixture = state;
  fixture->fired++;
  kad_network_close_node(fixture->network, fixture->node);
  kad_network_close_node(fixture->network, fixture->other);
}

static void nodes_may_be_closed_by_a_hook_amid_a_batch(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  fixture.node = open_node(fixture.network, "127.0.0.1:0");
  fixture.other = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_policy policy = {
      .state = &fixture,
      .on_request = close_both_in_hook,
  };
  assert_ok(kad_node_set_policy(fixture.other, &policy));
  const struct kad_address to =
      bound_address(fixture.network, fixture.other, 0);
  fixture.expected = BURST;
  for (unsigned i = 0; i < BURST; i++) {
    ping(&fixture, fixture.node, &to);
  }

  run_until_stopped(&fixture);

  assert_int_equal(fixture.fired, 1);
  assert_int_equal(fixture.results, BURST);
  assert_int_equal(fixture.failures, BURST);
  assert_int_equal(fixture.status, KAD_ECLOSED);
  close_network(&fixture);
}

static void closing_a_node_ends_its_operations(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_node *asker = open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *asked = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to = bound_address(fixture.network, asked, 0);
  ping(&fixture, asker, &to);

  kad_network_close_node(fixture.network, asker);

  assert_int_equal(fixture.results, 1);
  assert_int_equal(fixture.status, KAD_ECLOSED);
  close_network(&fixture);
}

static void freeing_the_network_ends_operations(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_node *asker = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to = bound_address(fixture.network, asker, 0);
  ping(&fixture, asker, &to);

  close_network(&fixture);

  assert_int_equal(fixture.status, KAD_ECLOSED);
}

static void stop_the_other_timer(void *data) {
  struct fixture *fixture = data;
  fixture->fired++;
  assert_ok(kad_network_stop_timer(fixture->network, fixture->timer));
}

static void timers_fire_once_and_may_stop_each_other(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  kad_timer first = 0;
  kad_timer last = 0;
  assert_ok(kad_network_start_timer(fixture.network, 0, stop_the_other_timer,
                                    &fixture, &first));
  assert_ok(kad_network_start_timer(fixture.network, 0, count_fire, &fixture,
                                    &fixture.timer));
  assert_ok(kad_network_start_timer(fixture.network, 5, stop_network, &fixture,
                                    &last));

  run_until_stopped(&fixture);

  assert_int_equal(fixture.fired, 2);
  assert_int_equal(kad_network_stop_timer(fixture.network, first),
                   KAD_ENOTFOUND);
  assert_int_equal(kad_network_stop_timer(fixture.network, fixture.timer),
                   KAD_ENOTFOUND);
  assert_int_equal(kad_network_stop_timer(fixture.network, 0), KAD_ENOTFOUND);
  close_network(&fixture);
}

static void timers_wait_as_long_as_asked(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  kad_timer timer = 0;
  assert_ok(kad_network_start_timer(fixture.network, 30, stop_network, &fixture,
                                    &timer));

  run_until_stopped(&fixture);

  assert_true(kad_network_now(fixture.network) >= begun + 30);
  close_network(&fixture);
}

static void start_again(void *data) {
  struct fixture *fixture = data;
  fixture->fired++;
  assert_ok(kad_network_start_timer(fixture->network, 0, start_again, fixture,
                                    &fixture->timer));
}

static void timer_that_starts_itself_lets_datagrams_through(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_node *asker = open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *asked = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to = bound_address(fixture.network, asked, 0);
  start_again(&fixture);
  const kad_timer first = fixture.timer;

  ping(&fixture, asker, &to);
  run_until_stopped(&fixture);

  assert_int_equal(fixture.status, 0);
  assert_true(fixture.fired > 1);
  assert_true(fixture.timer > first);
  close_network(&fixture);
}

static void empty_network_runs_as_long_as_asked(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);

  kad_network_run(fixture.network, 20);

  assert_true(kad_network_now(fixture.network) >= begun + 20);
  close_network(&fixture);
}

static void run_inside(void *data) {
  struct fixture *fixture = data;
  kad_network_run(fixture->network, KAD_TIME_NEVER);
  kad_network_step(fixture->network);
  stop_network(fixture);
}

static void run_from_a_callback_does_nothing(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  assert_ok(kad_network_start_timer(fixture.network, 0, run_inside, &fixture,
                                    &fixture.timer));

  run_until_stopped(&fixture);

  assert_int_equal(fixture.fired, 1);
  close_network(&fixture);
}

static void keep_addresses(void *data, int status,
                           const struct kad_address *addresses, size_t count) {
  struct fixture *fixture = data;
  fixture->status = status;
  fixture->address_count = count;
  memcpy(fixture->addresses, addresses, count * sizeof *addresses);
  fixture->results++;
  kad_network_stop(fixture->network);
}

static void resolve(struct fixture *fixture, const char *text) {
  const unsigned before = fixture->results;
  assert_ok(kad_network_resolve(fixture->network, kad_slice_of(text),
                                keep_addresses, fixture));
  assert_int_equal(fixture->results, before);
  run_until_stopped(fixture);
  assert_int_equal(fixture->results, before + 1);
}

static void addresses_resolve_to_themselves(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const struct kad_address expected = address_of("[2001:db8::1]:6881");

  resolve(&fixture, "[2001:db8::1]:6881");

  assert_int_equal(fixture.status, 0);
  assert_int_equal(fixture.address_count, 1);
  assert_true(kad_address_equal(&fixture.addresses[0], &expected));
  close_network(&fixture);
}

static void names_are_resolved_by_the_system(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);

  resolve(&fixture, "localhost:1");

  assert_int_equal(fixture.status, 0);
  assert_true(fixture.address_count >= 1);
  for (size_t i = 0; i < fixture.address_count; i++) {
    assert_int_equal(fixture.addresses[i].port, 1);
    assert_false(kad_address_is_martian(&fixture.addresses[i], true));
    assert_true(kad_address_is_martian(&fixture.addresses[i], false));
  }
  close_network(&fixture);
}

static void unknown_names_are_reported(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  char text[68];
  memset(text, 'a', sizeof text); /* a label of 64 bytes: no server is asked */
  memcpy(text + 64, ":1", 3);

  resolve(&fixture, text);

  assert_int_equal(fixture.status, KAD_ERESOLVE);
  assert_int_equal(fixture.address_count, 0);
  close_network(&fixture);
}

static void text_without_a_port_is_refused(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const char *const texts[] = {
      "",
      "localhost",
      "localhost:",
      ":1",
      "localhost:x",
      "::1",
      "localhost:-1",
      "localhost:65536",
      "localhost:4294967376",
      "[::1]",
  };

  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const struct kad_slice text = kad_slice_of(texts[i]);
    if (kad_network_resolve(fixture.network, text, keep_addresses, &fixture) !=
        KAD_EINVAL) {
      fail_msg("'%s' was accepted", texts[i]);
    }
  }

  close_network(&fixture);
}

static void freeing_the_network_forgets_names(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  assert_ok(kad_network_resolve(fixture.network, kad_slice_of("localhost:1"),
                                keep_addresses, &fixture));
  assert_ok(kad_network_resolve(fixture.network, kad_slice_of("127.0.0.1:1"),
                                keep_addresses, &fixture));

  close_network(&fixture);

  assert_int_equal(fixture.results, 0);
}

static void signals_reach_everyone_who_asked(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  assert_ok(
      kad_network_on_signal(fixture.network, SIGUSR2, count_fire, &fixture));
  assert_ok(
      kad_network_on_signal(fixture.network, SIGUSR2, count_fire, &fixture));
  assert_int_equal(
      kad_network_on_signal(fixture.network, -1, count_fire, &fixture),
      KAD_EINVAL);

  assert_int_equal(raise(SIGUSR2), 0);
  for (int i = 0; i < PATIENCE_MS && fixture.fired < 2; i++) {
    kad_network_run(fixture.network, 1);
  }

  assert_int_equal(fixture.fired, 2);
  close_network(&fixture);
}

/* A loop of the caller's: it waits as the network says, then lets it step. */
static void drive(struct fixture *fixture) {
  const kad_time_ms begun = kad_network_now(fixture->network);
  struct pollfd waiting = {
      .fd = kad_network_fd(fixture->network),
      .events = POLLIN,
  };
  while (fixture->results < fixture->expected) {
    assert_true(kad_network_now(fixture->network) < begun + PATIENCE_MS);
    (void)poll(&waiting, 1, kad_network_timeout(fixture->network));
    kad_network_step(fixture->network);
  }
}

static void another_loop_may_drive_the_network(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  struct kad_node *asker = open_node(fixture.network, "127.0.0.1:0");
  struct kad_node *asked = open_node(fixture.network, "127.0.0.1:0");
  const struct kad_address to = bound_address(fixture.network, asked, 0);

  fixture.expected = BURST;
  for (unsigned i = 0; i < BURST; i++) {
    ping(&fixture, asker, &to);
  }
  drive(&fixture);

  assert_int_equal(fixture.status, 0);
  close_network(&fixture);
}

static void timeout_tells_when_the_next_timer_is_due(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  while (kad_network_timeout(fixture.network) == 0) {
    kad_network_step(fixture.network);
  }
  assert_int_equal(kad_network_timeout(fixture.network), -1);

  kad_timer timer = 0;
  assert_ok(kad_network_start_timer(fixture.network, 60000, count_fire,
                                    &fixture, &timer));
  while (kad_network_timeout(fixture.network) == 0) {
    kad_network_step(fixture.network);
  }

  assert_in_range(kad_network_timeout(fixture.network), 1, 60000);
  assert_int_equal(fixture.fired, 0);
  close_network(&fixture);
}

/* Runs both networks in turns until `client` has had its results. */
static void drive_both(struct fixture *server, struct fixture *client) {
  const kad_time_ms begun = kad_network_now(client->network);
  while (client->results < client->expected) {
    assert_true(kad_network_now(client->network) < begun + PATIENCE_MS);
    kad_network_step(client->network);
    kad_network_step(server->network);
  }
}

static void serving_a_ping_allocates_nothing(void **state) {
  (void)state;
  struct fixture server;
  struct fixture client;
  open_network(&server);
  open_network(&client);
  struct kad_node *asked = open_node(server.network, "127.0.0.1:0");
  struct kad_node *asker = open_node(client.network, "127.0.0.1:0");
  const struct kad_address to = bound_address(server.network, asked, 0);
  client.expected = 10;
  for (unsigned i = 0; i < 10; i++) {
    ping(&client, asker, &to);
  }
  drive_both(&server, &client);

  const size_t requests = server.counting.requests;
  client.expected += BURST;
  for (unsigned i = 0; i < BURST; i++) {
    ping(&client, asker, &to);
  }
  drive_both(&server, &client);

  assert_int_equal(server.counting.requests, requests);
  close_network(&client);
  close_network(&server);
}

static void open_node_survives_want_of_memory(void **state) {
  (void)state;
  struct fixture fixture;
  open_network(&fixture);
  const struct kad_address listen[2] = {address_of("127.0.0.1:0"),
                                        address_of("127.0.0.1:0")};
  struct kad_node *node = NULL;

  int result = KAD_ENOMEM;
  for (size_t n = 0; result == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&fixture.counting, n);
    result = try_open(fixture.network, listen, 2, &node);
    kad_network_step(fixture.network);
  }

  assert_ok(result);
  assert_false(fixture.counting.has_failed);
  kad_counting_never_fail(&fixture.counting);
  close_network(&fixture);
}

static void network_new_survives_want_of_memory(void **state) {
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
      cmocka_unit_test(address_of_another_machine_is_refused),
      cmocka_unit_test(listen_addresses_out_of_range_are_refused),
      cmocka_unit_test(node_may_be_closed_by_its_callback),
      cmocka_unit_test(nodes_may_be_closed_by_a_hook_amid_a_batch),
      cmocka_unit_test(closing_a_node_ends_its_operations),
      cmocka_unit_test(freeing_the_network_ends_operations),
      cmocka_unit_test(timers_fire_once_and_may_stop_each_other),
      cmocka_unit_test(timers_wait_as_long_as_asked),
      cmocka_unit_test(timer_that_starts_itself_lets_datagrams_through),
      cmocka_unit_test(empty_network_runs_as_long_as_asked),
      cmocka_unit_test(run_from_a_callback_does_nothing),
      cmocka_unit_test(addresses_resolve_to_themselves),
      cmocka_unit_test(names_are_resolved_by_the_system),
      cmocka_unit_test(unknown_names_are_reported),
      cmocka_unit_test(text_without_a_port_is_refused),
      cmocka_unit_test(freeing_the_network_forgets_names),
      cmocka_unit_test(signals_reach_everyone_who_asked),
      cmocka_unit_test(another_loop_may_drive_the_network),
      cmocka_unit_test(timeout_tells_when_the_next_timer_is_due),
      cmocka_unit_test(serving_a_ping_allocates_nothing),
      cmocka_unit_test(open_node_survives_want_of_memory),
      cmocka_unit_test(network_new_survives_want_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

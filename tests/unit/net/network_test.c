/* poll and signals are more than C11 shows. */
#define _DEFAULT_SOURCE

#include "network_fixture.h"
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

static void stop_the_other_timer(void *data) {
  struct kad_fixture *fixture = data;
  fixture->fired++;
  assert_ok(kad_network_stop_timer(fixture->network, fixture->timer));
}

static void timers_fire_once_and_may_stop_each_other(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  kad_timer_id first = 0;
  kad_timer_id last = 0;
  assert_ok(kad_network_start_timer(fixture.network, 0, stop_the_other_timer,
                                    &fixture, &first));
  assert_ok(kad_network_start_timer(fixture.network, 0, kad_fixture_count_fire,
                                    &fixture, &fixture.timer));
  assert_ok(kad_network_start_timer(fixture.network, 5, kad_fixture_stop,
                                    &fixture, &last));

  kad_fixture_run(&fixture);

  assert_int_equal(fixture.fired, 2);
  assert_int_equal(kad_network_stop_timer(fixture.network, first),
                   KAD_ENOTFOUND);
  assert_int_equal(kad_network_stop_timer(fixture.network, fixture.timer),
                   KAD_ENOTFOUND);
  assert_int_equal(kad_network_stop_timer(fixture.network, 0), KAD_ENOTFOUND);
  kad_fixture_close(&fixture);
}

static void timers_wait_as_long_as_asked(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  kad_timer_id timer = 0;
  assert_ok(kad_network_start_timer(fixture.network, 30, kad_fixture_stop,
                                    &fixture, &timer));

  kad_fixture_run(&fixture);

  assert_true(kad_network_now(fixture.network) >= begun + 30);
  kad_fixture_close(&fixture);
}

static void dawdle_and_start_a_timer(void *data) {
  struct kad_fixture *fixture = data;
  const kad_time_ms begun = kad_network_now(fixture->network);
  while (kad_network_now(fixture->network) < begun + 20) {
    fixture->fired++;
  }
  assert_ok(kad_network_start_timer(fixture->network, 10, kad_fixture_stop,
                                    fixture, &fixture->timer));
}

static void timer_waits_from_the_moment_of_its_start(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  kad_timer_id timer = 0;
  assert_ok(kad_network_start_timer(
      fixture.network, 0, dawdle_and_start_a_timer, &fixture, &timer));

  kad_fixture_run(&fixture);

  assert_true(kad_network_now(fixture.network) >= begun + 20 + 10);
  kad_fixture_close(&fixture);
}

static void start_again(void *data) {
  struct kad_fixture *fixture = data;
  fixture->fired++;
  assert_ok(kad_network_start_timer(fixture->network, 0, start_again, fixture,
                                    &fixture->timer));
}

static void timer_that_starts_itself_lets_datagrams_through(void **state) {
  (void)state;
  struct kad_fixture fixture;
  const struct kad_pair pair = kad_fixture_open_pair(&fixture);
  start_again(&fixture);
  const kad_timer_id first = fixture.timer;

  kad_fixture_ping(&fixture, pair.asker, &pair.to);
  kad_fixture_run(&fixture);

  assert_int_equal(fixture.status, 0);
  assert_true(fixture.fired > 1);
  assert_true(fixture.timer > first);
  kad_fixture_close(&fixture);
}

static void timer_that_starts_itself_fires_once_a_turn(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  start_again(&fixture);

  for (int turn = 0; turn < 10; turn++) {
    const unsigned before = fixture.fired;
    kad_network_step(fixture.network);
    assert_in_range(fixture.fired - before, 0, 1);
  }

  kad_fixture_close(&fixture);
}

static void empty_network_runs_as_long_as_asked(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);

  kad_network_run(fixture.network, 20);

  assert_true(kad_network_now(fixture.network) >= begun + 20);
  kad_fixture_close(&fixture);
}

static void run_inside(void *data) {
  struct kad_fixture *fixture = data;
  kad_network_run(fixture->network, KAD_TIME_NEVER);
  kad_network_step(fixture->network);
  kad_fixture_stop(fixture);
}

static void run_from_a_callback_does_nothing(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  assert_ok(kad_network_start_timer(fixture.network, 0, run_inside, &fixture,
                                    &fixture.timer));

  kad_fixture_run(&fixture);

  assert_int_equal(fixture.fired, 1);
  kad_fixture_close(&fixture);
}

static void keep_addresses(void *data, int status,
                           const struct kad_address *addresses, size_t count) {
  struct kad_fixture *fixture = data;
  fixture->status = status;
  fixture->address_count = count;
  memcpy(fixture->addresses, addresses, count * sizeof *addresses);
  fixture->results++;
  kad_network_stop(fixture->network);
}

static void resolve(struct kad_fixture *fixture, const char *text) {
  const unsigned before = fixture->results;
  assert_ok(kad_network_resolve(fixture->network, kad_slice_of(text),
                                keep_addresses, fixture));
  assert_int_equal(fixture->results, before);
  kad_fixture_run(fixture);
  assert_int_equal(fixture->results, before + 1);
}

static void addresses_resolve_to_themselves(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const struct kad_address expected = kad_fixture_address("[2001:db8::1]:6881");

  resolve(&fixture, "[2001:db8::1]:6881");

  assert_int_equal(fixture.status, 0);
  assert_int_equal(fixture.address_count, 1);
  assert_true(kad_address_equal(&fixture.addresses[0], &expected));
  kad_fixture_close(&fixture);
}

static void the_system_resolves_names(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);

  resolve(&fixture, "localhost:1");

  assert_int_equal(fixture.status, 0);
  assert_true(fixture.address_count >= 1);
  for (size_t i = 0; i < fixture.address_count; i++) {
    assert_int_equal(fixture.addresses[i].port, 1);
    assert_false(kad_address_is_martian(&fixture.addresses[i], true));
    assert_true(kad_address_is_martian(&fixture.addresses[i], false));
  }
  kad_fixture_close(&fixture);
}

static void unknown_names_are_reported(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  char text[68];
  memset(text, 'a', sizeof text); /* a label of 64 bytes: no server is asked */
  memcpy(text + 64, ":1", 3);

  resolve(&fixture, text);

  assert_int_equal(fixture.status, KAD_ERESOLVE);
  assert_int_equal(fixture.address_count, 0);
  kad_fixture_close(&fixture);
}

static void text_without_a_port_is_refused(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
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

  kad_fixture_close(&fixture);
}

static void freeing_the_network_cancels_names(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  assert_ok(kad_network_resolve(fixture.network, kad_slice_of("localhost:1"),
                                keep_addresses, &fixture));
  assert_ok(kad_network_resolve(fixture.network, kad_slice_of("127.0.0.1:1"),
                                keep_addresses, &fixture));

  kad_fixture_close(&fixture);

  assert_int_equal(fixture.results, 0);
}

static void a_signal_calls_every_callback(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  assert_ok(kad_network_on_signal(fixture.network, SIGUSR2,
                                  kad_fixture_count_fire, &fixture));
  assert_ok(kad_network_on_signal(fixture.network, SIGUSR2,
                                  kad_fixture_count_fire, &fixture));
  assert_int_equal(kad_network_on_signal(fixture.network, -1,
                                         kad_fixture_count_fire, &fixture),
                   KAD_EINVAL);

  assert_int_equal(raise(SIGUSR2), 0);
  for (int i = 0; i < KAD_PATIENCE_MS && fixture.fired < 2; i++) {
    kad_network_run(fixture.network, 1);
  }

  assert_int_equal(fixture.fired, 2);
  kad_fixture_close(&fixture);
}

/* A loop of the caller's: it waits as the network says, then lets it step. */
static void drive(struct kad_fixture *fixture) {
  const kad_time_ms begun = kad_network_now(fixture->network);
  struct pollfd waiting = {
      .fd = kad_network_fd(fixture->network),
      .events = POLLIN,
  };
  while (fixture->results < fixture->expected) {
    assert_true(kad_network_now(fixture->network) < begun + KAD_PATIENCE_MS);
    (void)poll(&waiting, 1, kad_network_timeout(fixture->network));
    kad_network_step(fixture->network);
  }
}

static void another_loop_may_drive_the_network(void **state) {
  (void)state;
  struct kad_fixture fixture;
  const struct kad_pair pair = kad_fixture_open_pair(&fixture);

  kad_fixture_ping_burst(&fixture, &pair);
  drive(&fixture);

  assert_int_equal(fixture.status, 0);
  kad_fixture_close(&fixture);
}

static void timeout_is_the_time_to_the_next_timer(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  while (kad_network_timeout(fixture.network) == 0) {
    kad_network_step(fixture.network);
  }
  assert_int_equal(kad_network_timeout(fixture.network), -1);

  kad_timer_id timer = 0;
  assert_ok(kad_network_start_timer(fixture.network, 60000,
                                    kad_fixture_count_fire, &fixture, &timer));
  while (kad_network_timeout(fixture.network) == 0) {
    kad_network_step(fixture.network);
  }

  assert_in_range(kad_network_timeout(fixture.network), 1, 60000);
  assert_int_equal(fixture.fired, 0);
  kad_fixture_close(&fixture);
}

static void an_operation_of_the_user_makes_the_timeout_0(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  struct kad_node *node = kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  while (kad_network_timeout(fixture.network) == 0) {
    kad_network_step(fixture.network);
  }

  const struct kad_id target = {{1}};
  assert_ok(kad_node_find_node(node, &target, NULL, kad_fixture_count_result,
                               &fixture, NULL));
  assert_int_equal(kad_network_timeout(fixture.network), 0);
  drive(&fixture);

  assert_int_equal(fixture.results, 1);
  kad_fixture_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(timers_fire_once_and_may_stop_each_other),
      cmocka_unit_test(timers_wait_as_long_as_asked),
      cmocka_unit_test(timer_waits_from_the_moment_of_its_start),
      cmocka_unit_test(timer_that_starts_itself_lets_datagrams_through),
      cmocka_unit_test(timer_that_starts_itself_fires_once_a_turn),
      cmocka_unit_test(empty_network_runs_as_long_as_asked),
      cmocka_unit_test(run_from_a_callback_does_nothing),
      cmocka_unit_test(addresses_resolve_to_themselves),
      cmocka_unit_test(the_system_resolves_names),
      cmocka_unit_test(unknown_names_are_reported),
      cmocka_unit_test(text_without_a_port_is_refused),
      cmocka_unit_test(freeing_the_network_cancels_names),
      cmocka_unit_test(a_signal_calls_every_callback),
      cmocka_unit_test(another_loop_may_drive_the_network),
      cmocka_unit_test(timeout_is_the_time_to_the_next_timer),
      cmocka_unit_test(an_operation_of_the_user_makes_the_timeout_0),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

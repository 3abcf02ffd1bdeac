#include "counting_allocator.h"
#include "kadenza.h"
#include "kadenza_sim.h"
#include "unit.h"

#include <math.h>
#include <string.h>

enum {
  SECOND = 1000, /* ms */
  MINUTE = 60000,
  HOUR = 3600000,
  DAY = 86400000,
  ROUNDS = 100,       /* of pings in tests of loss and latency */
  PINGS_A_ROUND = 10, /* within the limit of pending queries */
  PINGS = ROUNDS * PINGS_A_ROUND
};

/* A network and the results of its callbacks. */
struct fixture {
  struct kad_counting_allocator counting;
  struct kad_network *network;
  struct kad_node *node;  /* for callbacks that close one */
  struct kad_node *other; /* the same */
  unsigned results;
  unsigned answered; /* of these */
  uint32_t shortest_ms;
  uint32_t longest_ms;
  unsigned fired;
  kad_time_ms fired_at[8];
  int status; /* of the latest result */
  struct kad_address address;
};

static void open_sim(struct fixture *fixture,
                     const struct kad_sim_config *config) {
  *fixture = (struct fixture){.shortest_ms = UINT32_MAX};
  kad_counting_init(&fixture->counting);
  assert_ok(kad_network_sim_new(config, fixture->counting.allocator,
                                &fixture->network));
}

static void open_default(struct fixture *fixture) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  open_sim(fixture, &config);
}

static void close_sim(struct fixture *fixture) {
  kad_network_free(fixture->network);
  kad_counting_deinit(&fixture->counting);
}

static struct kad_address address_of(const char *text) {
  struct kad_address address;
  assert_ok(kad_address_parse(kad_slice_of(text), &address));
  return address;
}

static int try_open(struct kad_network *network,
                    const struct kad_address *listen, struct kad_node **node) {
  struct kad_config config;
  kad_config_default(&config);
  config.allow_local = true;
  config.limits = false;
  return kad_network_open_node(network, &config, listen, 1, node);
}

static struct kad_node *open_node(struct fixture *fixture, const char *listen) {
  const struct kad_address address = address_of(listen);
  struct kad_node *node = NULL;
  assert_ok(try_open(fixture->network, &address, &node));
  return node;
}

static void count_result(void *data, const struct kad_result *result) {
  struct fixture *fixture = data;
  fixture->results++;
  fixture->status = result->status;
  if (result->status != 0) {
    return;
  }
  fixture->answered++;
  if (result->took_ms < fixture->shortest_ms) {
    fixture->shortest_ms = result->took_ms;
  }
  if (result->took_ms > fixture->longest_ms) {
    fixture->longest_ms = result->took_ms;
  }
}

/* Opens two nodes, one of which sends PINGS pings; `*asked` gets them. */
static void exchange_pings(struct fixture *fixture, struct kad_node **asked) {
  const struct kad_address to = address_of("10.0.0.2:1");
  struct kad_node *asker = open_node(fixture, "10.0.0.1:1");
  *asked = open_node(fixture, "10.0.0.2:1");
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (unsigned i = 0; i < PINGS_A_ROUND; i++) {
      assert_ok(kad_node_ping(asker, &to, count_result, fixture, NULL));
    }
    kad_network_run(fixture->network, MINUTE);
  }
  assert_int_equal(fixture->results, PINGS);
}

static uint64_t trace_of(uint64_t seed, double loss) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = seed;
  config.loss = loss;
  struct fixture fixture;
  open_sim(&fixture, &config);
  struct kad_node *asked = NULL;
  exchange_pings(&fixture, &asked);
  const uint64_t trace = kad_network_trace_hash(fixture.network);
  close_sim(&fixture);
  return trace;
}

static void two_runs_of_a_seed_are_equal(void **state) {
  (void)state;

  const uint64_t trace = trace_of(7, 0.1);

  assert_int_not_equal(trace, 0);
  assert_int_equal(trace_of(7, 0.1), trace);
  assert_int_not_equal(trace_of(8, 0.1), trace);
}

static void random_bytes_of_the_user_do_not_change_nodes(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  struct fixture disturbed;
  open_default(&disturbed);
  uint8_t drawn[100];
  kad_network_random(disturbed.network, drawn, sizeof drawn);
  struct kad_node *asked = NULL;

  exchange_pings(&fixture, &asked);
  exchange_pings(&disturbed, &asked);

  assert_int_equal(kad_network_trace_hash(fixture.network),
                   kad_network_trace_hash(disturbed.network));
  close_sim(&fixture);
  close_sim(&disturbed);
}

static void nodes_of_one_seed_differ(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);

  const struct kad_node *a = open_node(&fixture, "10.0.0.1:1");
  const struct kad_node *b = open_node(&fixture, "10.0.0.2:1");

  assert_false(kad_id_equal(kad_node_id(a), kad_node_id(b)));
  close_sim(&fixture);
}

static void without_loss_everything_arrives(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  struct kad_node *asked = NULL;

  exchange_pings(&fixture, &asked);

  assert_int_equal(fixture.answered, PINGS);
  close_sim(&fixture);
}

static void with_loss_1_nothing_arrives(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.loss = 1;
  struct fixture fixture;
  open_sim(&fixture, &config);
  struct kad_node *asked = NULL;

  exchange_pings(&fixture, &asked);

  struct kad_stats stats;
  kad_node_stats(asked, &stats);
  assert_int_equal(stats.datagrams_in, 0);
  assert_int_equal(fixture.answered, 0);
  assert_int_equal(kad_network_trace_hash(fixture.network), 0);
  close_sim(&fixture);
}

static void loss_is_the_share_that_is_lost(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.loss = 0.3;
  struct fixture fixture;
  open_sim(&fixture, &config);
  struct kad_node *asked = NULL;

  exchange_pings(&fixture, &asked);

  /* Both ways must succeed: 0.7 × 0.7, within four standard deviations. */
  assert_in_range(fixture.answered, PINGS * 49 / 100 - 64,
                  PINGS * 49 / 100 + 64);
  close_sim(&fixture);
}

static void latency_is_within_its_range(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.latency_min_ms = 20;
  config.latency_max_ms = 50;
  struct fixture fixture;
  open_sim(&fixture, &config);
  struct kad_node *asked = NULL;

  exchange_pings(&fixture, &asked);

  assert_int_equal(fixture.answered, PINGS);
  assert_in_range(fixture.shortest_ms, 2 * 20, 2 * 20 + 10);
  assert_in_range(fixture.longest_ms, 2 * 50 - 10, 2 * 50);
  close_sim(&fixture);
}

static void configuration_out_of_range_is_refused(void **state) {
  (void)state;
  struct kad_network *network = NULL;
  struct kad_sim_config config;
  const double losses[] = {-0.01, 1.01, NAN, INFINITY};
  for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
    kad_sim_config_default(&config);
    config.loss = losses[i];
    assert_int_equal(
        kad_network_sim_new(&config, kad_allocator_default(), &network),
        KAD_EINVAL);
  }

  kad_sim_config_default(&config);
  config.latency_min_ms = config.latency_max_ms + 1;

  assert_int_equal(
      kad_network_sim_new(&config, kad_allocator_default(), &network),
      KAD_EINVAL);
  assert_null(network);
}

static void taken_address_cannot_be_bound(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const struct kad_address address = address_of("[2001:db8::1]:6881");
  struct kad_node *holder = open_node(&fixture, "[2001:db8::1]:6881");
  struct kad_node *node = NULL;

  assert_int_equal(try_open(fixture.network, &address, &node), KAD_EADDRINUSE);
  kad_network_close_node(fixture.network, holder);
  assert_ok(try_open(fixture.network, &address, &node));

  close_sim(&fixture);
}

static void port_0_takes_a_free_one(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const struct kad_node *a = open_node(&fixture, "10.0.0.1:0");
  const struct kad_node *b = open_node(&fixture, "10.0.0.1:0");
  struct kad_address first;
  struct kad_address second;

  assert_int_equal(kad_network_addresses(fixture.network, a, &first, 1), 1);
  assert_int_equal(kad_network_addresses(fixture.network, b, &second, 1), 1);

  assert_int_not_equal(first.port, 0);
  assert_int_not_equal(second.port, 0);
  assert_int_not_equal(first.port, second.port);
  close_sim(&fixture);
}

static void close_both(void *data, const struct kad_result *result) {
  struct fixture *fixture = data;
  kad_network_close_node(fixture->network, fixture->node);
  kad_network_close_node(fixture->network, fixture->other);
  fixture->node = open_node(fixture, "10.0.0.1:1");
  count_result(data, result);
}

static void callback_may_close_and_open_nodes(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  fixture.node = open_node(&fixture, "10.0.0.1:1");
  fixture.other = open_node(&fixture, "10.0.0.2:1");
  const struct kad_address to = address_of("10.0.0.2:1");
  assert_ok(kad_node_ping(fixture.node, &to, close_both, &fixture, NULL));
  const struct kad_address unused = address_of("10.0.0.3:1");
  assert_ok(kad_node_ping(fixture.node, &unused, count_result, &fixture, NULL));

  kad_network_run(fixture.network, MINUTE);

  assert_int_equal(fixture.results, 2);
  assert_int_equal(fixture.answered, 1);
  assert_int_equal(fixture.status, KAD_ECLOSED);
  close_sim(&fixture);
}

static void note_fire(void *data) {
  struct fixture *fixture = data;
  assert_true(fixture->fired < 8);
  fixture->fired_at[fixture->fired++] = kad_network_now(fixture->network);
}

static void timers_fire_at_their_millisecond(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  const kad_time_ms delays[] = {500, 1, DAY, 500};
  kad_timer_id timers[4];
  for (size_t i = 0; i < 4; i++) {
    assert_ok(kad_network_start_timer(fixture.network, delays[i], note_fire,
                                      &fixture, &timers[i]));
  }
  assert_ok(kad_network_stop_timer(fixture.network, timers[3]));

  kad_network_run(fixture.network, KAD_TIME_NEVER);

  assert_int_equal(fixture.fired, 3);
  assert_int_equal(fixture.fired_at[0], begun + 1);
  assert_int_equal(fixture.fired_at[1], begun + 500);
  assert_int_equal(fixture.fired_at[2], begun + DAY);
  assert_int_equal(kad_network_stop_timer(fixture.network, timers[0]),
                   KAD_ENOTFOUND);
  close_sim(&fixture);
}

static void start_again(void *data) {
  struct fixture *fixture = data;
  fixture->fired++;
  kad_timer_id timer = 0;
  assert_ok(kad_network_start_timer(fixture->network, 0, start_again, fixture,
                                    &timer));
}

static void timer_that_restarts_itself_lets_time_pass(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  start_again(&fixture);

  kad_network_run(fixture.network, SECOND);

  assert_int_equal(kad_network_now(fixture.network), begun + SECOND);
  assert_true(fixture.fired > 1);
  close_sim(&fixture);
}

static void search_again(void *data, const struct kad_result *result) {
  (void)result;
  struct fixture *fixture = data;
  const struct kad_id target = {{1}};
  fixture->fired++;
  fixture->status = kad_node_find_node(fixture->node, &target, NULL,
                                       search_again, fixture, NULL);
}

static void lookup_that_fails_at_once_lets_time_pass(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  fixture.node = open_node(&fixture, "10.0.0.1:1");
  const struct kad_id target = {{1}};
  assert_ok(kad_node_find_node(fixture.node, &target, NULL, search_again,
                               &fixture, NULL));

  kad_network_run(fixture.network, SECOND);

  assert_int_equal(kad_network_now(fixture.network), begun + SECOND);
  assert_in_range(fixture.fired, 1, SECOND + 1);
  assert_int_equal(fixture.status, 0);
  close_sim(&fixture);
}

static void stop_network(void *data) {
  struct fixture *fixture = data;
  note_fire(fixture);
  kad_network_stop(fixture->network);
}

static void stop_ends_the_run_after_the_callback(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  kad_timer_id timer = 0;
  for (int i = 0; i < 2; i++) {
    assert_ok(kad_network_start_timer(fixture.network, 10, stop_network,
                                      &fixture, &timer));
  }

  kad_network_run(fixture.network, SECOND);

  assert_int_equal(fixture.fired, 1);
  assert_int_equal(kad_network_now(fixture.network), begun + 10);
  kad_network_run(fixture.network, SECOND);
  assert_int_equal(fixture.fired, 2);
  close_sim(&fixture);
}

static void run_lasts_as_long_as_asked(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);

  kad_network_run(fixture.network, HOUR);
  assert_int_equal(kad_network_now(fixture.network), begun + HOUR);

  kad_network_run(fixture.network, KAD_TIME_NEVER); /* ends: nothing is left */
  assert_int_equal(kad_network_now(fixture.network), begun + HOUR);
  close_sim(&fixture);
}

static void steps_go_from_event_to_event(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const kad_time_ms begun = kad_network_now(fixture.network);
  assert_int_equal(kad_network_timeout(fixture.network), -1);
  assert_int_equal(kad_network_fd(fixture.network), -1);
  kad_timer_id timer = 0;
  assert_ok(kad_network_start_timer(fixture.network, 70, note_fire, &fixture,
                                    &timer));

  assert_int_equal(kad_network_timeout(fixture.network), 0);
  kad_network_step(fixture.network);

  assert_int_equal(fixture.fired, 1);
  assert_int_equal(kad_network_now(fixture.network), begun + 70);
  close_sim(&fixture);
}

static void keep_address(void *data, int status,
                         const struct kad_address *addresses, size_t count) {
  struct fixture *fixture = data;
  fixture->results++;
  fixture->status = status;
  if (count > 0) {
    fixture->address = addresses[0];
  }
}

static void only_addresses_resolve(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  const struct kad_address expected = address_of("10.0.0.1:6881");

  assert_ok(kad_network_resolve(fixture.network, kad_slice_of("10.0.0.1:6881"),
                                keep_address, &fixture));
  assert_int_equal(fixture.results, 0);
  kad_network_run(fixture.network, SECOND);
  assert_int_equal(fixture.status, 0);
  assert_true(kad_address_equal(&fixture.address, &expected));

  assert_ok(kad_network_resolve(fixture.network, kad_slice_of("localhost:1"),
                                keep_address, &fixture));
  kad_network_run(fixture.network, SECOND);
  assert_int_equal(fixture.results, 2);
  assert_int_equal(fixture.status, KAD_ERESOLVE);
  assert_int_equal(kad_network_resolve(fixture.network,
                                       kad_slice_of("localhost"), keep_address,
                                       &fixture),
                   KAD_EINVAL);
  close_sim(&fixture);
}

static void on_signal_refuses_simulated_networks(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);

  assert_int_equal(kad_network_on_signal(fixture.network, 15, note_fire, NULL),
                   KAD_EINVAL);

  close_sim(&fixture);
}

static void datagrams_in_flight_are_freed(void **state) {
  (void)state;
  struct fixture fixture;
  open_default(&fixture);
  struct kad_node *asker = open_node(&fixture, "10.0.0.1:1");
  const struct kad_address to = address_of("10.0.0.2:1");
  assert_ok(kad_node_ping(asker, &to, count_result, &fixture, NULL));
  kad_timer_id timer = 0;
  assert_ok(
      kad_network_start_timer(fixture.network, 1, note_fire, &fixture, &timer));

  close_sim(&fixture);

  assert_int_equal(fixture.status, KAD_ECLOSED);
  assert_int_equal(fixture.fired, 0);
}

static void open_node_survives_out_of_memory(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  const struct kad_address address = address_of("10.0.0.1:1");
  struct kad_network *network = NULL;
  struct kad_node *node = NULL;

  int result = KAD_ENOMEM;
  for (size_t n = 0; result == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&counting, n);
    result = kad_network_sim_new(&config, counting.allocator, &network);
  }
  assert_ok(result);
  result = KAD_ENOMEM;
  for (size_t n = 0; result == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&counting, n);
    result = try_open(network, &address, &node);
  }
  assert_ok(result);

  assert_false(counting.has_failed);
  kad_network_free(network);
  kad_counting_deinit(&counting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_runs_of_a_seed_are_equal),
      cmocka_unit_test(random_bytes_of_the_user_do_not_change_nodes),
      cmocka_unit_test(nodes_of_one_seed_differ),
      cmocka_unit_test(without_loss_everything_arrives),
      cmocka_unit_test(with_loss_1_nothing_arrives),
      cmocka_unit_test(loss_is_the_share_that_is_lost),
      cmocka_unit_test(latency_is_within_its_range),
      cmocka_unit_test(configuration_out_of_range_is_refused),
      cmocka_unit_test(taken_address_cannot_be_bound),
      cmocka_unit_test(port_0_takes_a_free_one),
      cmocka_unit_test(callback_may_close_and_open_nodes),
      cmocka_unit_test(timers_fire_at_their_millisecond),
      cmocka_unit_test(timer_that_restarts_itself_lets_time_pass),
      cmocka_unit_test(lookup_that_fails_at_once_lets_time_pass),
      cmocka_unit_test(stop_ends_the_run_after_the_callback),
      cmocka_unit_test(run_lasts_as_long_as_asked),
      cmocka_unit_test(steps_go_from_event_to_event),
      cmocka_unit_test(only_addresses_resolve),
      cmocka_unit_test(on_signal_refuses_simulated_networks),
      cmocka_unit_test(datagrams_in_flight_are_freed),
      cmocka_unit_test(open_node_survives_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

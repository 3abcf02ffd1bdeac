/* Events of nodes in virtual time: suspension, wrong clocks, moves, low
 * bandwidth; and their trace. Tests core/sim. */
#include "kadenza.h"
#include "overlay.h"
#include "sim_hub.h"
#include "unit.h"

#include <string.h>

enum {
  PAIR = 2
};

static void open_pair(struct kad_hub *hub) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.latency_min_ms = 50;
  config.latency_max_ms = 50;
  kad_hub_open(hub, &config, PAIR);
}

static struct kad_stats stats_of(const struct kad_node *node) {
  struct kad_stats stats;
  kad_node_stats(node, &stats);
  return stats;
}

/* ------------------------------------------------------------- suspend -- */

static void suspended_node_does_nothing(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  const struct kad_address to = kad_overlay_address(0);
  assert_true(kad_hub_reaches(&hub, hub.hub, &to));
  const struct kad_stats before = stats_of(hub.others[0]);
  const kad_time_ms began = kad_network_now(hub.network);

  assert_ok(kad_sim_suspend(hub.network, hub.others[0], false));

  assert_false(kad_hub_reaches(&hub, hub.hub, &to));
  kad_hub_run(&hub, 2 * KAD_HOUR_MS);
  const struct kad_stats after = stats_of(hub.others[0]);
  assert_int_equal(after.datagrams_in, before.datagrams_in);
  assert_int_equal(after.datagrams_out, before.datagrams_out);
  assert_true(kad_hub_stats(&hub).suspended > 0);
  assert_true(kad_network_now(hub.network) > began + 2 * KAD_HOUR_MS);
  kad_hub_close(&hub);
}

static void resumed_node_goes_on(void **state) {
  (void)state;
  for (unsigned stands = 0; stands < 2; stands++) {
    struct kad_hub hub;
    open_pair(&hub);
    const struct kad_address to = kad_overlay_address(0);
    assert_ok(kad_sim_suspend(hub.network, hub.others[0], stands == 1));
    kad_hub_run(&hub, KAD_HOUR_MS);

    assert_ok(kad_sim_resume(hub.network, hub.others[0]));

    assert_true(kad_hub_reaches(&hub, hub.hub, &to));
    kad_hub_close(&hub);
  }
}

/* Returns the time that the node's clock advances in an hour of suspension. A
 * ping that is in flight ends afterwards. */
static kad_time_ms gained_with_sleep(bool clock_stands) {
  struct kad_hub hub;
  open_pair(&hub);
  const struct kad_address unused = kad_overlay_address(5);
  struct kad_overlay overlay = {.network = hub.network};
  struct kad_ending ending;
  kad_ending_init(&ending, &overlay);
  assert_ok(
      kad_node_ping(hub.others[0], &unused, kad_ending_done, &ending, NULL));
  kad_hub_run(&hub, 100);
  const kad_time_ms before = kad_network_node_now(hub.network, hub.others[0]);
  assert_ok(kad_sim_suspend(hub.network, hub.others[0], clock_stands));
  kad_hub_run(&hub, KAD_HOUR_MS);
  assert_int_equal(ending.calls, 0);
  assert_ok(kad_sim_resume(hub.network, hub.others[0]));
  kad_hub_run(&hub, 2 * KAD_MINUTE_MS);
  assert_int_equal(ending.calls, 1);
  const kad_time_ms gained =
      kad_network_node_now(hub.network, hub.others[0]) - before;
  assert_true(ending.result.took_ms < 2 * KAD_MINUTE_MS);
  kad_ending_deinit(&ending);
  kad_hub_close(&hub);
  return gained;
}

static void clock_of_a_suspended_node_goes_on_or_stands(void **state) {
  (void)state;

  assert_true(gained_with_sleep(false) >= KAD_HOUR_MS);
  assert_in_range(gained_with_sleep(true), 1, 3 * KAD_MINUTE_MS);
}

/* -------------------------------------------------------------- clocks -- */

static void drifting_clock_measures_other_durations(void **state) {
  static const int32_t drifts[] = {-100000, 0, 100000};
  (void)state;
  for (size_t i = 0; i < sizeof drifts / sizeof *drifts; i++) {
    struct kad_hub hub;
    open_pair(&hub);
    const struct kad_address to = kad_overlay_address(0);
    assert_ok(kad_sim_set_clock(hub.network, hub.hub, drifts[i], 0));

    assert_true(kad_hub_reaches(&hub, hub.hub, &to));

    const int32_t expected = 100 + drifts[i] / 10000;
    assert_in_range(hub.took_ms[0], expected - 1, expected + 1);
    kad_hub_close(&hub);
  }
}

/* A ping to an address without a node ends at a deadline of the pinging node,
 * which follows that node's clock. */
static void deadlines_follow_the_clock_of_the_node(void **state) {
  (void)state;
  kad_time_ms ended[PAIR] = {0};
  for (unsigned slow = 0; slow < PAIR; slow++) {
    struct kad_hub hub;
    open_pair(&hub);
    const struct kad_address unused = kad_overlay_address(5);
    assert_ok(
        kad_sim_set_clock(hub.network, hub.hub, slow == 1 ? -100000 : 0, 0));
    kad_hub_run(&hub, KAD_SECOND_MS);
    const kad_time_ms began = kad_network_now(hub.network);
    kad_hub_ping(&hub, hub.hub, &unused, 0);
    while (hub.ended == 0) {
      kad_hub_run(&hub, 1);
    }
    ended[slow] = kad_network_now(hub.network) - began;
    kad_hub_close(&hub);
  }

  assert_true(ended[0] > 0);
  assert_in_range(ended[1], ended[0] * 10 / 9 - 2, ended[0] * 10 / 9 + 2);
}

static void wall_offset_moves_the_wall_clock_of_the_node(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  const kad_time_ms began = kad_network_now(hub.network);
  assert_ok(kad_sim_set_clock(hub.network, hub.others[0], 100000, 0));
  assert_ok(kad_sim_suspend(hub.network, hub.others[1], true));

  kad_hub_run(&hub, KAD_MINUTE_MS);

  const struct kad_network *network = hub.network;
  assert_int_equal(kad_network_node_now(network, hub.hub),
                   began + KAD_MINUTE_MS);
  assert_int_equal(kad_network_node_now(network, hub.others[0]),
                   began + KAD_MINUTE_MS * 11 / 10);
  assert_int_equal(kad_network_node_now(network, hub.others[1]), began);
  kad_hub_close(&hub);
}

static void clocks_out_of_range_are_refused(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);

  assert_int_equal(kad_sim_set_clock(hub.network, hub.hub, 100001, 0),
                   KAD_EINVAL);
  assert_int_equal(kad_sim_set_clock(hub.network, hub.hub, -100001, 0),
                   KAD_EINVAL);
  assert_int_equal(kad_sim_set_clock(hub.network, hub.hub, 0, INT64_MAX),
                   KAD_EINVAL);
  assert_int_equal(kad_sim_set_clock(hub.network, hub.hub, 0, INT64_MIN),
                   KAD_EINVAL);
  assert_ok(kad_sim_set_clock(hub.network, hub.hub, 1, -3155760000));
  kad_hub_close(&hub);
}

/* --------------------------------------------------------------- moves -- */

static void moved_node_answers_at_its_new_address(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  const struct kad_address old = kad_overlay_address(0);
  const struct kad_address new = kad_overlay_address(9);

  assert_ok(kad_sim_move(hub.network, hub.others[0], &new, 1));

  struct kad_address now;
  assert_int_equal(kad_network_addresses(hub.network, hub.others[0], &now, 1),
                   1);
  assert_true(kad_address_equal(&now, &new));
  assert_false(kad_hub_reaches(&hub, hub.hub, &old));
  assert_true(kad_hub_reaches(&hub, hub.hub, &new));
  const struct kad_address to = kad_overlay_address(1);
  assert_true(kad_hub_reaches(&hub, hub.others[0], &to));
  kad_hub_close(&hub);
}

static void move_that_fails_changes_nothing(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  const struct kad_address both[] = {kad_overlay_address(8),
                                     kad_overlay_address(9)};
  const struct kad_address taken = kad_overlay_address(1);
  const struct kad_address other_family = kad_overlay_address6(9);
  struct kad_node *const node = hub.others[0];

  assert_int_equal(kad_sim_move(hub.network, node, both, 2), KAD_EINVAL);
  assert_int_equal(kad_sim_move(hub.network, node, &other_family, 1),
                   KAD_EINVAL);
  assert_int_equal(kad_sim_move(hub.network, node, &taken, 1), KAD_EADDRINUSE);

  const struct kad_address to = kad_overlay_address(0);
  assert_true(kad_hub_reaches(&hub, hub.hub, &to));
  kad_hub_close(&hub);
}

/* ----------------------------------------------------------- bandwidth -- */

/* A ping has about 56 bytes and 28 of headers. */
static void low_bandwidth_delays_sent_datagrams(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  const struct kad_address to = kad_overlay_address(0);
  assert_ok(kad_sim_set_bandwidth(hub.network, hub.hub, 1000));

  for (size_t i = 0; i < 4; i++) {
    kad_hub_ping(&hub, hub.hub, &to, i);
  }
  kad_hub_run(&hub, KAD_MINUTE_MS);

  assert_int_equal(kad_hub_answered(&hub, 4), 4);
  for (size_t i = 1; i < 4; i++) {
    assert_in_range(hub.took_ms[i], hub.took_ms[i - 1] + 50,
                    hub.took_ms[i - 1] + 250);
  }
  kad_hub_close(&hub);
}

static void low_bandwidth_delays_received_datagrams(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  const struct kad_address to = kad_overlay_address(0);
  assert_ok(kad_sim_set_bandwidth(hub.network, hub.others[0], 1000));
  for (size_t i = 0; i < 4; i++) {
    kad_hub_ping(&hub, hub.hub, &to, i);
  }
  unsigned ms = 0;
  for (; stats_of(hub.others[0]).datagrams_in < 4 && ms < 2000; ms++) {
    kad_hub_run(&hub, 1);
  }

  assert_in_range(ms, 50 + 4 * 50, 50 + 4 * 200);
  kad_hub_close(&hub);
}

static void datagram_that_would_wait_too_long_is_lost(void **state) {
  (void)state;
  for (unsigned i = 0; i < PAIR; i++) {
    struct kad_hub hub;
    open_pair(&hub);
    const struct kad_address to = kad_overlay_address(0);
    struct kad_node *const narrow = i == 0 ? hub.hub : hub.others[0];
    assert_ok(kad_sim_set_bandwidth(hub.network, narrow, 500));

    for (size_t n = 0; n < 10; n++) {
      kad_hub_ping(&hub, hub.hub, &to, n);
    }
    kad_hub_run(&hub, KAD_SECOND_MS / 2);

    assert_true(kad_hub_stats(&hub).congested > 0);
    kad_hub_close(&hub);
  }
}

static void bandwidth_of_the_configuration_applies_to_each_node(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.bandwidth = 500;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, PAIR);
  const struct kad_address to = kad_overlay_address(0);

  for (size_t n = 0; n < 10; n++) {
    kad_hub_ping(&hub, hub.hub, &to, n);
  }
  kad_hub_run(&hub, KAD_SECOND_MS / 2);

  assert_true(kad_hub_stats(&hub).congested > 0);
  kad_hub_close(&hub);
}

/* --------------------------------------------------------------- trace -- */

struct witness {
  struct kad_hub *hub;
  unsigned seen[KAD_SIM_OUTCOME_UNREACHABLE + 1];
  kad_time_ms last;
  bool closes; /* the tracer closes the other node */
};

static void witness(void *data, const struct kad_sim_event *event) {
  struct witness *it = data;
  it->seen[event->outcome]++;
  assert_true(event->at >= it->last);
  assert_int_equal(event->from->family, 4);
  it->last = event->at;
  if (it->closes && it->hub->others[0] != NULL) {
    kad_network_close_node(it->hub->network, it->hub->others[0]);
    it->hub->others[0] = NULL;
  }
}

static void tracer_is_called_with_every_outcome(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.loss = 0.2;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, 20);
  struct witness it = {.hub = &hub};
  assert_ok(kad_sim_set_trace(hub.network, witness, &it));
  assert_ok(kad_sim_set_group(hub.network, hub.others[0], 1));
  assert_ok(kad_sim_suspend(hub.network, hub.others[1], false));
  assert_ok(kad_sim_kill(hub.network, hub.others[2]));

  kad_hub_ping_all(&hub, 20);

  const struct kad_sim_stats stats = kad_hub_stats(&hub);
  assert_int_equal(it.seen[KAD_SIM_OUTCOME_DELIVERED], stats.delivered);
  assert_int_equal(it.seen[KAD_SIM_OUTCOME_LOST], stats.lost);
  assert_int_equal(it.seen[KAD_SIM_OUTCOME_PARTITIONED], stats.partitioned);
  assert_int_equal(it.seen[KAD_SIM_OUTCOME_SUSPENDED], stats.suspended);
  assert_int_equal(it.seen[KAD_SIM_OUTCOME_UNREACHABLE], stats.unreachable);
  assert_true(stats.lost > 0 && stats.partitioned > 0 && stats.suspended > 0 &&
              stats.unreachable > 0);
  assert_int_equal(stats.sent, stats.delivered + stats.lost +
                                   stats.partitioned + stats.suspended +
                                   stats.unreachable);
  kad_hub_close(&hub);
}

static void tracer_may_close_the_receiver(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  const struct kad_address to = kad_overlay_address(0);
  struct witness it = {.hub = &hub, .closes = true};
  assert_ok(kad_sim_set_trace(hub.network, witness, &it));

  assert_false(kad_hub_reaches(&hub, hub.hub, &to));

  assert_null(hub.others[0]);
  assert_ok(kad_sim_set_trace(hub.network, NULL, NULL));
  kad_hub_close(&hub);
}

static void outcomes_have_names(void **state) {
  (void)state;

  assert_string_equal(kad_sim_outcome_name(KAD_SIM_OUTCOME_DELIVERED),
                      "delivered");
  assert_string_equal(kad_sim_outcome_name(KAD_SIM_OUTCOME_UNREACHABLE),
                      "unreachable");
  assert_string_equal(kad_sim_outcome_name((enum kad_sim_outcome)99),
                      "unknown");
}

/* --------------------------------------------------------- determinism -- */

/* Nodes 5 … 9 are behind NATs, 10 … 16 are hostile. */
static void behave_in_all_ways(struct kad_hub *hub) {
  for (size_t i = 0; i < 5; i++) {
    const struct kad_sim_nat nat = {.kind = (enum kad_sim_nat_kind)i};
    assert_ok(kad_sim_set_nat(hub->network, hub->others[5 + i], &nat));
  }
  for (size_t i = 0; i < 7; i++) {
    const struct kad_sim_hostility how = {.behaviour =
                                              (enum kad_sim_behaviour)i};
    assert_ok(kad_sim_set_behaviour(hub->network, hub->others[10 + i], &how));
  }
}

/* Runs all kinds of events within a few minutes. */
static uint64_t trace_of(uint64_t seed, bool traced) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = seed;
  config.latency = KAD_SIM_LATENCY_JIMENEZ;
  config.jitter_ms = 20;
  config.loss = 0.05;
  config.duplicate = 0.05;
  config.reorder = 0.05;
  config.bandwidth = 2000;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, 20);
  struct witness it = {.hub = &hub};
  const struct kad_address new = kad_overlay_address(50);
  assert_ok(kad_sim_set_trace(hub.network, traced ? witness : NULL, &it));
  assert_ok(kad_sim_set_group(hub.network, hub.others[0], 1));
  assert_ok(kad_sim_suspend(hub.network, hub.others[1], true));
  assert_ok(kad_sim_set_clock(hub.network, hub.others[2], 50000, -3600));
  behave_in_all_ways(&hub);
  kad_hub_ping_all(&hub, 20);
  assert_ok(kad_sim_heal(hub.network));
  assert_ok(kad_sim_resume(hub.network, hub.others[1]));
  assert_ok(kad_sim_kill(hub.network, hub.others[3]));
  assert_ok(kad_sim_move(hub.network, hub.others[4], &new, 1));
  kad_hub_ping_all(&hub, 20);
  const uint64_t hash = kad_network_trace_hash(hub.network);
  kad_hub_close(&hub);
  return hash;
}

static void two_runs_of_a_seed_have_one_hash(void **state) {
  (void)state;
  const uint64_t hash = trace_of(5, false);

  assert_int_equal(trace_of(5, false), hash);
  assert_int_equal(trace_of(5, true), hash);
  assert_int_not_equal(trace_of(6, false), hash);
}

/* Each time in a new network: a node that has no memory for other things sends
 * its datagram all the same, and the network keeps the memory for the next. */
static void datagram_is_dropped_if_out_of_memory(void **state) {
  (void)state;
  const struct kad_address to = kad_overlay_address(0);
  uint64_t dropped = 0;
  for (size_t nth = 0; nth < 10 && dropped == 0; nth++) {
    struct kad_hub hub;
    open_pair(&hub);
    kad_hub_ping(&hub, hub.hub, &to, 0);
    kad_counting_fail_at(&hub.counting, nth);
    kad_hub_run(&hub, KAD_MINUTE_MS);
    kad_counting_never_fail(&hub.counting);

    dropped = kad_hub_stats(&hub).dropped;
    assert_true(kad_hub_reaches(&hub, hub.hub, &to));
    kad_hub_close(&hub);
  }
  assert_int_equal(dropped, 1);
}

static void setters_survive_out_of_memory(void **state) {
  (void)state;
  struct kad_hub hub;
  open_pair(&hub);
  kad_counting_fail_at(&hub.counting, 0);
  assert_int_equal(kad_sim_suspend(hub.network, hub.hub, false), KAD_ENOMEM);
  kad_counting_fail_at(&hub.counting, 0);
  assert_int_equal(kad_sim_set_clock(hub.network, hub.hub, 1, 1), KAD_ENOMEM);
  kad_counting_fail_at(&hub.counting, 0);
  assert_int_equal(kad_sim_set_bandwidth(hub.network, hub.hub, 1), KAD_ENOMEM);

  const struct kad_address to = kad_overlay_address(0);
  assert_true(kad_hub_reaches(&hub, hub.hub, &to));
  kad_hub_close(&hub);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(suspended_node_does_nothing),
      cmocka_unit_test(resumed_node_goes_on),
      cmocka_unit_test(clock_of_a_suspended_node_goes_on_or_stands),
      cmocka_unit_test(drifting_clock_measures_other_durations),
      cmocka_unit_test(deadlines_follow_the_clock_of_the_node),
      cmocka_unit_test(wall_offset_moves_the_wall_clock_of_the_node),
      cmocka_unit_test(clocks_out_of_range_are_refused),
      cmocka_unit_test(moved_node_answers_at_its_new_address),
      cmocka_unit_test(move_that_fails_changes_nothing),
      cmocka_unit_test(low_bandwidth_delays_sent_datagrams),
      cmocka_unit_test(low_bandwidth_delays_received_datagrams),
      cmocka_unit_test(datagram_that_would_wait_too_long_is_lost),
      cmocka_unit_test(bandwidth_of_the_configuration_applies_to_each_node),
      cmocka_unit_test(tracer_is_called_with_every_outcome),
      cmocka_unit_test(tracer_may_close_the_receiver),
      cmocka_unit_test(outcomes_have_names),
      cmocka_unit_test(two_runs_of_a_seed_have_one_hash),
      cmocka_unit_test(datagram_is_dropped_if_out_of_memory),
      cmocka_unit_test(setters_survive_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

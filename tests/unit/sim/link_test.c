/* Latency and loss of datagrams in virtual time. */
#include "kadenza.h"
#include "overlay.h"
#include "sim/sim.h"
#include "sim_hub.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------- curves -- */

static double rtt_ms_at(const struct kad_sim_curve *curve, double share) {
  const double step = share * KAD_SIM_CURVE_STEPS;
  const size_t i = (size_t)step;
  const double rise = i < KAD_SIM_CURVE_STEPS
                          ? (double)curve->rtt_us[i + 1] - curve->rtt_us[i]
                          : 0;
  return (curve->rtt_us[i] + rise * (step - (double)i)) / 1000;
}

static void assert_near(double value, double expected, double share) {
  if (fabs(value - expected) > expected * share) {
    fail_msg("%f is not %f", value, expected);
  }
}

static void jimenez_curve_has_its_quantiles(void **state) {
  (void)state;
  struct kad_sim_config config;
  struct kad_sim_curve curve;
  kad_sim_config_default(&config);
  config.latency = KAD_SIM_LATENCY_JIMENEZ;

  kad_sim_curve_fill(&config, &curve);

  assert_near(rtt_ms_at(&curve, 0.5), 175, 0.001);
  assert_near(rtt_ms_at(&curve, 0.75), 344, 0.001);
  assert_near(rtt_ms_at(&curve, 0.98), 1094, 0.005);
  /* The line through the first two points, extended: 175² / 344. */
  assert_near(rtt_ms_at(&curve, 0.25), 175.0 * 175 / 344, 0.001);
}

static void log_normal_curve_has_its_median_and_spread(void **state) {
  (void)state;
  struct kad_sim_config config;
  struct kad_sim_curve curve;
  kad_sim_config_default(&config);
  config.latency = KAD_SIM_LATENCY_LOG_NORMAL;
  config.rtt_median_ms = 80;
  config.rtt_sigma = 0.5;

  kad_sim_curve_fill(&config, &curve);

  assert_near(rtt_ms_at(&curve, 0.5), 80, 0.0001);
  assert_near(rtt_ms_at(&curve, 0.841344746), 80 * 1.648721, 0.001);
  assert_near(rtt_ms_at(&curve, 0.022750132), 80 * 0.367879, 0.005);
  assert_near(rtt_ms_at(&curve, 1), 80 * 6.420581, 0.001);
}

static void curve_ends_at_its_first_and_last_line(void **state) {
  static const struct kad_sim_quantile lines[] = {
      {0, 20}, {0.5, 100}, {0.9, 100}, {1, 300}};
  (void)state;
  struct kad_sim_config config;
  struct kad_sim_curve curve;
  kad_sim_config_default(&config);
  config.latency = KAD_SIM_LATENCY_QUANTILES;
  config.quantiles = lines;
  config.quantile_count = 4;

  kad_sim_curve_fill(&config, &curve);

  assert_int_equal(curve.rtt_us[0], 20000);
  assert_near(rtt_ms_at(&curve, 0.5), 100, 0.0001);
  assert_near(rtt_ms_at(&curve, 0.7), 100, 0.0001);
  assert_int_equal(curve.rtt_us[KAD_SIM_CURVE_STEPS], 300000);
  for (size_t i = 0; i < KAD_SIM_CURVE_STEPS; i++) {
    assert_true(curve.rtt_us[i] <= curve.rtt_us[i + 1]);
  }
}

static int by_value(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a;
  const uint32_t y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Fails unless `expected` ± `slack` of the pings took at most `ms`. */
static void assert_within(const struct kad_hub *hub, uint32_t ms,
                          size_t expected, size_t slack) {
  size_t within = 0;
  for (size_t i = 0; i < KAD_HUB_OTHERS; i++) {
    within += hub->took_ms[i] > 0 && hub->took_ms[i] <= ms;
  }
  assert_in_range(within, expected - slack, expected + slack);
}

static void round_trip_times_of_pairs_follow_the_quantiles(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = 3;
  config.latency = KAD_SIM_LATENCY_JIMENEZ;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);

  kad_hub_ping_all(&hub, KAD_HUB_OTHERS);

  /* The slack is four standard deviations. */
  assert_within(&hub, 89, KAD_HUB_OTHERS / 4, 42);
  assert_within(&hub, 175, KAD_HUB_OTHERS / 2, 49);
  assert_within(&hub, 344, KAD_HUB_OTHERS * 3 / 4, 42);
  assert_within(&hub, 1094, KAD_HUB_OTHERS * 98 / 100, 14);
  kad_hub_close(&hub);
}

static void round_trip_of_a_pair_is_always_the_same(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.latency = KAD_SIM_LATENCY_LOG_NORMAL;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);
  kad_hub_ping_all(&hub, 50);
  uint32_t before[50];
  memcpy(before, hub.took_ms, sizeof before);

  kad_hub_ping_all(&hub, 50);

  assert_memory_equal(hub.took_ms, before, sizeof before);
  size_t odd = 0;
  for (size_t i = 0; i < 50; i++) {
    odd += before[i] % 2;
  }
  assert_in_range(odd, 10,
                  40); /* odd times are not rounded to two equal halves */
  qsort(before, 50, sizeof *before, by_value);
  assert_int_not_equal(before[0], before[49]);
  kad_hub_close(&hub);
}

static void jitter_makes_datagrams_take_longer(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.latency_min_ms = 100;
  config.latency_max_ms = 100;
  config.jitter_ms = 40;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);

  kad_hub_ping_all(&hub, KAD_HUB_OTHERS);

  qsort(hub.took_ms, KAD_HUB_OTHERS, sizeof *hub.took_ms, by_value);
  assert_in_range(hub.took_ms[0], 200, 210);
  assert_in_range(hub.took_ms[KAD_HUB_OTHERS - 1], 270, 280);
  kad_hub_close(&hub);
}

/* ------------------------------------------------------- random events -- */

static void duplicate_is_the_share_that_arrives_twice(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.duplicate = 0.25;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);

  kad_hub_ping_all(&hub, KAD_HUB_OTHERS);

  const struct kad_sim_stats stats = kad_hub_stats(&hub);
  assert_int_equal(kad_hub_answered(&hub, KAD_HUB_OTHERS), KAD_HUB_OTHERS);
  assert_int_equal(stats.delivered, stats.sent + stats.duplicated);
  assert_in_range(stats.duplicated, stats.sent / 5, stats.sent * 3 / 10);
  kad_hub_close(&hub);
}

static void reorder_is_the_share_that_is_delayed(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.latency_min_ms = 10;
  config.latency_max_ms = 10;
  config.reorder = 0.5;
  config.reorder_ms = 1000;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);

  kad_hub_ping_all(&hub, KAD_HUB_OTHERS);

  size_t in_time = 0;
  for (size_t i = 0; i < KAD_HUB_OTHERS; i++) {
    in_time += hub.took_ms[i] == 20;
  }
  /* A quarter succeeds both ways, within four standard deviations. */
  assert_in_range(in_time, KAD_HUB_OTHERS / 4 - 43, KAD_HUB_OTHERS / 4 + 43);
  qsort(hub.took_ms, KAD_HUB_OTHERS, sizeof *hub.took_ms, by_value);
  assert_in_range(hub.took_ms[KAD_HUB_OTHERS - 1], 1500, 2020);
  kad_hub_close(&hub);
}

/* Records the milliseconds that ten pings take; 0 for a ping that is lost.
 */
static void note_arrivals(double loss, unsigned *arrivals) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.loss = loss;
  config.reorder = 0.2;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);
  for (size_t i = 0; i < 10; i++) {
    const struct kad_address to = kad_overlay_address(i);
    assert_ok(kad_node_ping(hub.hub, &to, NULL, NULL, NULL));
  }
  memset(arrivals, 0, 10 * sizeof *arrivals);
  for (unsigned ms = 1; ms <= 400; ms++) {
    kad_network_run(hub.network, 1);
    for (size_t i = 0; i < 10; i++) {
      struct kad_stats stats;
      kad_node_stats(hub.others[i], &stats);
      arrivals[i] += arrivals[i] == 0 && stats.datagrams_in > 0 ? ms : 0;
    }
  }
  kad_hub_close(&hub);
}

static void loss_does_not_change_the_latency_of_the_others(void **state) {
  (void)state;
  unsigned lossless[10];
  unsigned lossy[10];
  note_arrivals(0, lossless);

  note_arrivals(0.5, lossy);

  size_t lost = 0;
  for (size_t i = 0; i < 10; i++) {
    lost += lossy[i] == 0;
    assert_true(lossy[i] == 0 || lossy[i] == lossless[i]);
  }
  assert_in_range(lost, 1, 9);
}

/* ------------------------------------------------- groups and crashes -- */

static void groups_are_partitioned_until_healed(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);
  for (size_t i = 0; i < 5; i++) {
    assert_ok(kad_sim_set_group(hub.network, hub.others[i], 7));
  }

  kad_hub_ping_all(&hub, 10);

  assert_int_equal(kad_hub_answered(&hub, 5), 0);
  assert_int_equal(kad_hub_answered(&hub, 10), 5);
  assert_true(kad_hub_stats(&hub).partitioned >= 5);
  assert_ok(kad_sim_heal(hub.network));
  kad_hub_ping_all(&hub, 10);
  assert_int_equal(kad_hub_answered(&hub, 10), 10);
  kad_hub_close(&hub);
}

static void datagram_in_flight_does_not_reach_another_group(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);
  const struct kad_address to = kad_overlay_address(0);
  kad_hub_ping(&hub, hub.hub, &to, 0);
  kad_network_run(hub.network, 5);
  assert_int_equal(kad_hub_stats(&hub).sent, 1);

  assert_ok(kad_sim_set_group(hub.network, hub.hub, 1));
  kad_network_run(hub.network, KAD_SECOND_MS);

  assert_int_equal(kad_hub_stats(&hub).delivered, 0);
  assert_int_equal(kad_hub_stats(&hub).partitioned, 1);
  kad_hub_close(&hub);
}

static void killed_node_calls_no_callback_and_answers_nothing(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  struct kad_hub hub;
  kad_hub_open(&hub, &config, KAD_HUB_OTHERS);
  const struct kad_address to = kad_overlay_address(KAD_HUB_OTHERS);
  kad_hub_ping(&hub, hub.others[0], &to, 0);

  assert_ok(kad_sim_kill(hub.network, hub.others[0]));

  kad_network_run(hub.network, KAD_MINUTE_MS);
  assert_int_equal(hub.ended, 0);
  kad_hub_ping_all(&hub, 2);
  assert_int_equal(hub.took_ms[0], 0);
  assert_true(hub.took_ms[1] > 0);
  assert_true(kad_hub_stats(&hub).unreachable > 0);
  kad_hub_close(&hub);
}

/* -------------------------------------------------------------- errors -- */

static void assert_refused(const struct kad_sim_config *config) {
  struct kad_network *network = NULL;
  assert_int_equal(
      kad_network_sim_new(config, kad_allocator_default(), &network),
      KAD_EINVAL);
  assert_null(network);
}

static void shares_out_of_range_are_refused(void **state) {
  static const double wrong[] = {-0.01, 1.01, NAN, INFINITY};
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct kad_sim_config config;
    kad_sim_config_default(&config);
    config.duplicate = wrong[i];
    assert_refused(&config);
    kad_sim_config_default(&config);
    config.reorder = wrong[i];
    assert_refused(&config);
    kad_sim_config_default(&config);
    config.latency = KAD_SIM_LATENCY_LOG_NORMAL;
    config.rtt_sigma = wrong[i] > 1 ? 4.1 : wrong[i];
    assert_refused(&config);
  }
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.reorder_ms = 0;
  assert_refused(&config);
}

static void quantiles_that_do_not_ascend_are_refused(void **state) {
  static const struct kad_sim_quantile tables[][3] = {
      {{0.5, 10}, {0.5, 20}, {0.9, 30}},  {{0.5, 10}, {0.7, 9}, {0.9, 30}},
      {{0.5, 10}, {0.7, 20}, {1.1, 30}},  {{-0.1, 10}, {0.7, 20}, {1, 30}},
      {{0.5, 0}, {0.7, 20}, {1, 30}},     {{0.5, 10}, {0.7, 20}, {1, 3600001}},
      {{0.5, NAN}, {0.7, 20}, {0.9, 30}}, {{NAN, 10}, {0.7, 20}, {0.9, 30}},
  };
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.latency = KAD_SIM_LATENCY_QUANTILES;
  config.quantile_count = 3;
  assert_refused(&config);
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    config.quantiles = tables[i];
    assert_refused(&config);
  }
  static const struct kad_sim_quantile good[] = {{0.5, 10}, {0.6, 10}};
  config.quantiles = good;
  config.quantile_count = 1;
  assert_refused(&config);
}

static void network_new_survives_out_of_memory(void **state) {
  (void)state;
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.latency = KAD_SIM_LATENCY_JIMENEZ;
  int error = KAD_ENOMEM;
  for (size_t nth = 0; error != 0 && nth < 10; nth++) {
    struct kad_counting_allocator counting;
    kad_counting_init(&counting);
    kad_counting_fail_at(&counting, nth);
    struct kad_network *network = NULL;
    error = kad_network_sim_new(&config, counting.allocator, &network);
    assert_true(error == 0 || error == KAD_ENOMEM);
    kad_network_free(network);
    kad_counting_deinit(&counting);
  }
  assert_int_equal(error, 0);
}

static void kad_sim_functions_refuse_udp_networks(void **state) {
  (void)state;
  struct kad_network *network = NULL;
  assert_ok(kad_network_udp_new(kad_allocator_default(), &network));
  struct kad_sim_stats stats;

  assert_int_equal(kad_sim_read_stats(network, &stats), KAD_EINVAL);
  assert_int_equal(kad_sim_heal(network), KAD_EINVAL);
  assert_int_equal(kad_sim_set_group(network, NULL, 1), KAD_EINVAL);
  assert_int_equal(kad_sim_kill(network, NULL), KAD_EINVAL);
  kad_network_free(network);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(jimenez_curve_has_its_quantiles),
      cmocka_unit_test(log_normal_curve_has_its_median_and_spread),
      cmocka_unit_test(curve_ends_at_its_first_and_last_line),
      cmocka_unit_test(round_trip_times_of_pairs_follow_the_quantiles),
      cmocka_unit_test(round_trip_of_a_pair_is_always_the_same),
      cmocka_unit_test(jitter_makes_datagrams_take_longer),
      cmocka_unit_test(duplicate_is_the_share_that_arrives_twice),
      cmocka_unit_test(reorder_is_the_share_that_is_delayed),
      cmocka_unit_test(loss_does_not_change_the_latency_of_the_others),
      cmocka_unit_test(groups_are_partitioned_until_healed),
      cmocka_unit_test(datagram_in_flight_does_not_reach_another_group),
      cmocka_unit_test(killed_node_calls_no_callback_and_answers_nothing),
      cmocka_unit_test(shares_out_of_range_are_refused),
      cmocka_unit_test(quantiles_that_do_not_ascend_are_refused),
      cmocka_unit_test(network_new_survives_out_of_memory),
      cmocka_unit_test(kad_sim_functions_refuse_udp_networks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

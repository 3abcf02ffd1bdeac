/* Neighbours: a node with records learns soon which of its neighbours left, at
 * a limited cost. Kademlia §2.5. Tests core/membership/neighbours.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

enum {
  K = 8,
  SIZE = 60,
  PUTTER = 5,
  NEIGHBOUR_S = 100,
  HOURS = 3
};

static struct kad_overlay overlay;

/* Opens an overlay whose nodes send few other queries. */
static void begin(uint32_t neighbour_s) {
  kad_overlay_open(&overlay, 61);
  overlay.config.neighbour_s = neighbour_s;
  overlay.config.ping_s = 86400;
  overlay.config.refresh_s = 86400;
  kad_overlay_grow(&overlay, SIZE);
}

static int end(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

/* Stores values under `count` keys. */
static void put_values(unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    const struct kad_id key = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&key, "v");
    assert_ok(kad_overlay_put(&overlay, PUTTER, &record, NULL));
  }
}

static uint64_t count_queries(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    sum += kad_overlay_stats(&overlay, i).queries;
  }
  return sum;
}

/* Returns the queries of a node in a minute, over some hours. */
static double queries_a_minute(void) {
  kad_overlay_run(&overlay, 30 * KAD_MINUTE_MS);
  const uint64_t before = count_queries();
  kad_overlay_run(&overlay, HOURS * KAD_HOUR_MS);
  return (double)(count_queries() - before) / (HOURS * 60.0 * SIZE);
}

/* Returns the queries of a node in a minute with neighbour checks, less those
 * without, while `values` are held. */
static double price_of(unsigned values) {
  begin(NEIGHBOUR_S);
  put_values(values);
  const double with = queries_a_minute();
  kad_overlay_close(&overlay);
  begin(0);
  put_values(values);
  const double without = queries_a_minute();
  print_message("# %.2f queries a minute, %.2f without neighbours\n", with,
                without);
  return with - without;
}

static void node_without_records_checks_no_neighbours(void **state) {
  (void)state;

  assert_true(price_of(0) < 0.05);
}

/* Of two neighbours, one checks the other: k + 2 neighbours cost half as many
 * queries in each interval. */
static void one_of_two_neighbours_sends_the_checks(void **state) {
  (void)state;
  const double most = (K + 2) * 60.0 / NEIGHBOUR_S;

  assert_true(price_of(100) < most * 0.7);
}

/* Sets a type that is republished very rarely on all nodes. */
static void set_types(void) {
  static const struct kad_type type = {.name = "value",
                                       .republish = 30 * 86400};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  for (size_t i = 0; i < SIZE; i++) {
    assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
  }
}

static uint64_t count_asked(size_t except) {
  uint64_t sum = 0;
  for (size_t i = 0; i < SIZE; i++) {
    sum += i == except ? 0 : kad_overlay_stats(&overlay, i).served_find_value;
  }
  return sum;
}

/* An isolated node keeps its neighbours. Otherwise it would check all of them
 * for every record when the connection is back. */
static void isolated_node_keeps_its_neighbours(void **state) {
  const struct kad_id key = kad_overlay_key(0);
  size_t closest;
  (void)state;
  begin(NEIGHBOUR_S);
  set_types();
  put_values(1);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  (void)kad_overlay_closest(&overlay, &key, NULL, &closest, 1);

  assert_ok(kad_sim_set_group(overlay.network, overlay.nodes[closest], 1));
  kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);
  assert_ok(kad_sim_set_group(overlay.network, overlay.nodes[closest], 0));
  const uint64_t before = count_asked(closest);
  kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);

  assert_int_equal(count_asked(closest), before);
}

#define IN_OVERLAY(test) cmocka_unit_test_teardown(test, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(node_without_records_checks_no_neighbours),
      IN_OVERLAY(one_of_two_neighbours_sends_the_checks),
      IN_OVERLAY(isolated_node_keeps_its_neighbours),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

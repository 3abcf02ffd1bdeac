/* Kademlia §2.5, as kadenza does it: who holds records knows soon which of the
 * contacts closest to it have died, at a bounded price. */
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

/* Opens an overlay whose nodes do little else of themselves. */
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

/* Puts values under `count` keys. */
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

/* Returns the queries a node sends in a minute, over some hours. */
static double queries_a_minute(void) {
  kad_overlay_run(&overlay, 30 * KAD_MINUTE_MS);
  const uint64_t before = count_queries();
  kad_overlay_run(&overlay, HOURS * KAD_HOUR_MS);
  return (double)(count_queries() - before) / (HOURS * 60.0 * SIZE);
}

/* Returns the queries a node sends in a minute with neighbours watched, over
 * those without. `values` are held. */
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

static void test_a_node_that_holds_nothing_watches_nobody(void **state) {
  (void)state;

  assert_true(price_of(0) < 0.05);
}

/* Of two neighbours that watch each other, one asks: k + 2 of them in each
 * period cost half as many queries. */
static void test_of_two_neighbours_one_asks(void **state) {
  (void)state;
  const double most = (K + 2) * 60.0 / NEIGHBOUR_S;

  assert_true(price_of(100) < most * 0.7);
}

/* Gives all nodes values that are hardly ever republished. */
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

/* While nobody answers, it is we who are cut off: no neighbour is given up, or
 * all would be asked anew for every record when the line is back. */
static void test_who_is_cut_off_gives_nobody_up(void **state) {
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
      IN_OVERLAY(test_a_node_that_holds_nothing_watches_nobody),
      IN_OVERLAY(test_of_two_neighbours_one_asks),
      IN_OVERLAY(test_who_is_cut_off_gives_nobody_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A program that puts as fast as it can, in an overlay whose nodes have limits:
 * no put fails, each reaches k holders, and no contact is taken for dead.
 *
 * Tests core/rpc/pacer.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

enum {
  K = 8,
  NODES = 10,
  PUTTER = NODES - 1,
  PUTS = 2000,
  AT_ONCE = 64,
  GOAL_MS = 8000,
  PATIENCE_MS = 10 * KAD_MINUTE_MS
};

static struct kad_overlay overlay;

/* A program: operations of one kind, AT_ONCE at a time. */
static struct program {
  struct kad_node *node;
  int (*start)(struct kad_node *node, const struct kad_id *key);
  unsigned wanted;
  unsigned started;
  unsigned ended;
  unsigned failed;
  unsigned few; /* stored at fewer than K nodes */
} program;

static void start_next(void);

static void note(void *data, const struct kad_result *result) {
  (void)data;
  program.ended++;
  program.failed += result->status != 0;
  program.few += result->stored < K;
  if (program.started < program.wanted) {
    start_next();
  } else if (program.ended == program.wanted) {
    kad_network_stop(overlay.network);
  }
}

static void start_next(void) {
  const struct kad_id key = kad_overlay_key(program.started++);
  assert_ok(program.start(program.node, &key));
}

/* Runs the operations, and returns how long they take. */
static kad_time_ms run_program(int (*start)(struct kad_node *node,
                                            const struct kad_id *key),
                               unsigned wanted, unsigned at_once) {
  const kad_time_ms begin = kad_network_now(overlay.network);
  program = (struct program){
      .node = overlay.nodes[PUTTER], .start = start, .wanted = wanted};
  for (unsigned i = 0; i < at_once && i < wanted; i++) {
    start_next();
  }
  kad_network_run(overlay.network, PATIENCE_MS);
  assert_int_equal(program.ended, wanted);
  return kad_network_now(overlay.network) - begin;
}

static int start_put(struct kad_node *node, const struct kad_id *key) {
  const struct kad_record record = kad_overlay_record(key, "v");
  return kad_node_put(node, &record, NULL, note, NULL, NULL);
}

static int start_get(struct kad_node *node, const struct kad_id *key) {
  return kad_node_get(node, key, kad_slice_of("value"), NULL, note, NULL, NULL);
}

static int start_announce(struct kad_node *node, const struct kad_id *key) {
  return kad_node_announce(node, key, 7000, NULL, note, NULL, NULL);
}

static int start_find_node(struct kad_node *node, const struct kad_id *key) {
  return kad_node_find_node(node, key, NULL, note, NULL, NULL);
}

/* Opens an overlay of a local network. Without `per_s`, nodes have the default
 * limits. */
static void begin(uint32_t per_s, double loss) {
  struct kad_sim_config sim;
  overlay = (struct kad_overlay){.count = 0};
  kad_counting_init(&overlay.counting);
  kad_config_default(&overlay.config);
  if (per_s > 0) {
    overlay.config.queries_per_s_address = per_s;
  }
  kad_sim_config_default(&sim);
  sim.latency_min_ms = 1;
  sim.latency_max_ms = 2;
  sim.loss = loss;
  assert_ok(
      kad_network_sim_new(&sim, overlay.counting.allocator, &overlay.network));
  kad_overlay_grow(&overlay, NODES);
}

static int end(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

static void assert_all_contacts_are_good(void) {
  for (size_t i = 0; i < overlay.count; i++) {
    const struct kad_stats stats = kad_overlay_stats(&overlay, i);
    assert_int_equal(stats.contacts_good, stats.contacts);
    assert_int_equal(kad_node_state(overlay.nodes[i]), KAD_STATE_HEALTHY);
  }
}

static uint64_t limited(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    sum += kad_overlay_stats(&overlay, i).dropped_limited;
  }
  return sum;
}

static size_t count_holders(const struct kad_id *key) {
  struct kad_record found;
  size_t count = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    count += kad_node_held(overlay.nodes[i], key, kad_slice_of("value"), &found,
                           1) > 0;
  }
  return count;
}

static void two_thousand_puts_all_reach_k_holders(void **state) {
  (void)state;
  begin(0, 0);

  const kad_time_ms took = run_program(start_put, PUTS, AT_ONCE);

  print_message("%u puts in %u ms\n", PUTS, (unsigned)took);
  assert_int_equal(program.failed, 0);
  assert_int_equal(program.few, 0);
  assert_true(took <= GOAL_MS);
  assert_int_equal(limited(), 0);
  assert_all_contacts_are_good();
  for (unsigned i = 0; i < PUTS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    assert_int_equal(count_holders(&key), K);
  }
}

static void puts_that_are_all_started_at_once_wait_for_each_other(
    void **state) {
  (void)state;
  begin(0, 0);

  const kad_time_ms took = run_program(start_put, PUTS, PUTS);

  assert_int_equal(program.failed, 0);
  assert_int_equal(program.few, 0);
  assert_true(took <= GOAL_MS);
  assert_all_contacts_are_good();
}

static void lookups_of_any_kind_are_paced(void **state) {
  (void)state;
  begin(0, 0);
  (void)run_program(start_put, PUTS, AT_ONCE);

  (void)run_program(start_get, PUTS, AT_ONCE);
  assert_int_equal(program.failed, 0);
  (void)run_program(start_find_node, PUTS, AT_ONCE);
  assert_int_equal(program.failed, 0);
  (void)run_program(start_announce, PUTS, AT_ONCE);
  assert_int_equal(program.failed, 0);
  assert_int_equal(program.few, 0);
  assert_int_equal(limited(), 0);
  assert_all_contacts_are_good();
}

/* The program learns of the limit from the silence of its contacts. */
static void puts_to_nodes_with_lower_limits_are_slower_and_succeed(
    void **state) {
  (void)state;
  begin(50, 0);

  (void)run_program(start_put, PUTS / 4, AT_ONCE);

  assert_int_equal(program.failed, 0);
  assert_int_equal(program.few, 0);
  assert_true(limited() > 0);
  assert_true(kad_overlay_stats(&overlay, PUTTER).slowed > 0);
  assert_all_contacts_are_good();
}

static void loss_is_not_taken_for_a_limit(void **state) {
  (void)state;
  begin(0, 0.05);

  (void)run_program(start_put, PUTS, AT_ONCE);

  print_message("%u few\n", program.few);
  assert_int_equal(program.failed, 0);
  assert_true(program.few <= PUTS / 20);
  assert_int_equal(kad_overlay_stats(&overlay, PUTTER).slowed, 0);
}

/* Queries in flight to it are given up, and its places go to others. */
static void a_contact_that_dies_under_load_holds_nobody_up(void **state) {
  (void)state;
  begin(0, 0);
  (void)run_program(start_put, PUTS / 4, AT_ONCE);
  kad_overlay_kill(&overlay, 0);

  const kad_time_ms took = run_program(start_put, PUTS / 2, AT_ONCE);

  print_message("%u puts in %u ms\n", PUTS / 2, (unsigned)took);
  assert_int_equal(program.failed, 0);
  assert_int_equal(program.few, 0);
  assert_true(took < 30 * KAD_SECOND_MS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, end)
      TEST(two_thousand_puts_all_reach_k_holders),
      TEST(puts_that_are_all_started_at_once_wait_for_each_other),
      TEST(lookups_of_any_kind_are_paced),
      TEST(puts_to_nodes_with_lower_limits_are_slower_and_succeed),
      TEST(loss_is_not_taken_for_a_limit),
      TEST(a_contact_that_dies_under_load_holds_nobody_up),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
